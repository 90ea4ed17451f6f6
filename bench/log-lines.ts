/** A day of lines of eight applications, as snappy protobuf pushes of Loki's form, made from a seed. */
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { below, type Random, seededRandom } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'

const apps = ['web', 'api', 'auth', 'cart', 'search', 'mail', 'worker', 'nginx'] as const
const levels = ['info', 'info', 'info', 'info', 'info', 'debug', 'warn', 'error'] as const

function line(random: Random, app: string): string {
  const pick = <T>(list: readonly T[]): T => list[below(random, list.length)]!
  const hex = (length: number): string => Array.from({ length }, () => below(random, 16).toString(16)).join('')
  const level = pick(levels)
  const ms = (below(random, 200_000) / 100).toFixed(2)
  const user = below(random, 50_000)
  if (app === 'api' || app === 'cart')
    return (
      `{"level":"${level}","msg":"${pick(['request done', 'cache miss', 'user logged in', 'retrying'])}",` +
      `"user":{"id":${user},"region":"${pick(['eu', 'us', 'ap'])}"},` +
      `"status":${pick([200, 200, 200, 301, 404, 500])},"latency_ms":${ms},"trace_id":"${hex(32)}"}`
    )
  if (app === 'nginx')
    return (
      `10.${below(random, 4)}.${below(random, 255)}.${below(random, 255)} - - [20/Nov/2026:10:00:00 +0000] ` +
      `"${pick(['GET', 'POST'])} /api/${pick(['orders', 'users', 'items'])}/${below(random, 1000)} ` +
      `HTTP/1.1" ${pick([200, 200, 304, 404, 500])} ${below(random, 20_000)} "-" "Mozilla/5.0"`
    )
  return (
    `level=${level} caller=${pick(['http.go', 'db.go', 'main.go'])}:${below(random, 400)} ` +
    `msg="${pick(['request done', 'query finished', 'job started', 'connection reset by peer'])}" ` +
    `method=${pick(['GET', 'POST'])} ` +
    `path=/api/${pick(['orders', 'users', 'items'])}/${below(random, 1000)} ` +
    `status=${pick([200, 200, 200, 404, 500])} duration=${ms}ms user=${user} req=${hex(16)}`
  )
}

function field(out: ByteWriter, tag: number, bytes: Uint8Array): void {
  out.writeU8(tag)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function pushBody(streams: Map<string, { ms: number; text: string }[]>): Uint8Array {
  const out = new ByteWriter(1 << 20)
  const stream = new ByteWriter(1 << 18)
  const entry = new ByteWriter(1024)
  const time = new ByteWriter(32)
  for (const [labels, entries] of streams) {
    stream.reset()
    field(stream, 0x0a, encodeUtf8(labels))
    for (const { ms, text } of entries) {
      time.reset()
      time.writeU8(0x08)
      time.writeUvarint(Math.floor(ms / 1000))
      time.writeU8(0x10)
      time.writeUvarint((ms % 1000) * 1e6)
      entry.reset()
      field(entry, 0x0a, time.bytes())
      field(entry, 0x12, encodeUtf8(text))
      field(stream, 0x12, entry.bytes())
    }
    field(out, 0x0a, stream.bytes())
  }
  return encodeSnappy(out.bytes())
}

/** User and system seconds of a process. */
export interface LineLoad {
  /** 4,000 lines in each. */
  bodies: Uint8Array[]
  lines: number
  bytes: number
}

const dayMs = 86_400_000
const linesPerBody = 4000

/** About `wantedBytes` of lines, evenly over the day from startMs on. */
export function lineLoad(wantedBytes: number, startMs: number): LineLoad {
  const random = seededRandom(7)
  const load: LineLoad = { bodies: [], lines: 0, bytes: 0 }
  while (load.bytes < wantedBytes) {
    const streams = new Map<string, { ms: number; text: string }[]>()
    for (let i = 0; i < linesPerBody && load.bytes < wantedBytes; i++) {
      const app = apps[below(random, apps.length)]!
      const key = `{app="${app}", env="prod", pod="${app}-${below(random, 3)}"}`
      const text = line(random, app)
      const ms = startMs + Math.min(dayMs - 1000, Math.floor((load.bytes / wantedBytes) * dayMs))
      const list = streams.get(key)
      if (list === undefined) streams.set(key, [{ ms, text }])
      else list.push({ ms, text })
      load.bytes += text.length
      load.lines++
    }
    load.bodies.push(pushBody(streams))
  }
  return load
}
