/** What a process that only reads says of the blocks that it found, at its start. */
import type { LogFields } from '#core/log.ts'
import { counted, listed, timesOf } from '#core/listed.ts'
import type { BlockList } from './block-list.ts'

export function foundBlocks(list: BlockList): LogFields {
  const blocks = list.all()
  const damaged = list.damage.size
  const retired = list.retired().length
  return {
    tenants: listed(blocks.map(({ tenant }) => tenant)),
    blocks: blocks.length,
    ...timesOf(blocks.map(({ startMs, endMs }) => [startMs, endMs])),
    ...(blocks.length === 0 ? {} : { formats: counted(blocks.map(({ format }) => format)) }),
    ...(retired === 0 ? {} : { compacted: retired }),
    ...(damaged === 0 ? {} : { damaged }),
  }
}
