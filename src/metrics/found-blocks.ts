/** What a process that only reads says of the blocks that it found, at its start. */
import type { LogFields } from '#core/log.ts'
import { listed, timesOf } from '#core/listed.ts'
import { externalLabels, isDownsampled, type BlockMeta } from './block-meta.ts'

/** `damaged`: how many can't be used. */
export function foundBlocks(blocks: readonly { tenant: string; meta: BlockMeta }[], damaged: number): LogFields {
  const served = blocks.filter(({ meta }) => !isDownsampled(meta))
  const external = served.flatMap(({ meta }) => externalLabels(meta).filter((_, i) => i % 2 === 0))
  const downsampled = blocks.length - served.length
  return {
    tenants: listed(blocks.map(({ tenant }) => tenant)),
    blocks: served.length,
    ...timesOf(served.map(({ meta }) => [meta.minTime, meta.maxTime])),
    ...(external.length === 0 ? {} : { externalLabels: listed(external) }),
    ...(downsampled === 0 ? {} : { downsampledNotRead: downsampled }),
    ...(damaged === 0 ? {} : { damaged }),
  }
}
