/** Formats: looks at the records of all buckets before any of them is changed. */
import type { Bucket } from '#bucket/bucket.ts'
import { sleep } from '#core/clock.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** A bucket that is slower is looked at when its signal reaches it, before it is changed itself. */
const waitMs = 2000

/** Its start throws NewerFormatError; nothing is changed then. A bucket that is away keeps nobody from starting. */
export function makeFormats(
  { formats, world }: Pick<Context, 'formats' | 'world'>,
  buckets: Readonly<Record<SignalName, Bucket>>,
): Part {
  const check = async (signal: SignalName): Promise<void> => {
    const checked = formats.checkBucket(signal, buckets[signal]).catch((error: unknown) => {
      if (error instanceof NewerFormatError) throw error
      // Why it can't be asked, its signal says.
    })
    await Promise.race([checked, sleep(world.clock, waitMs)])
  }
  return makePart({
    name: 'formats',
    start: async () => {
      await Promise.all((['metrics', 'logs', 'traces'] as const).map(check))
    },
  })
}
