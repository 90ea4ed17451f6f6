/** Remote-write bodies for the bench: the same bytes for every peer. */
import { encodeSnappy } from '#codec/snappy.ts'

export interface Shape {
  series: number
  seriesPerBody: number
  startMs: number
  stepMs: number
}

function varint(out: number[], value: number): void {
  while (value >= 128) {
    out.push((value % 128) | 128)
    value = Math.floor(value / 128)
  }
  out.push(value)
}

function label(name: string, value: string): number[] {
  const n = [...Buffer.from(name)]
  const v = [...Buffer.from(value)]
  const inner = [0x0a, n.length, ...n, 0x12, v.length, ...v]
  return [0x0a, inner.length, ...inner]
}

/** The ten labels of series `i`, about 230 bytes. */
export function labelBytes(i: number): Uint8Array {
  const instance = Math.floor(i / 100)
  return Uint8Array.from([
    ...label('__name__', `bench_http_requests_total_${i % 10}`),
    ...label('cluster', 'eu-central-1-production'),
    ...label('code', ['200', '404', '500'][i % 3]!),
    ...label('container', `app-${i % 7}`),
    ...label('handler', `/api/v1/resource/${Math.floor(i / 10) % 10}`),
    ...label('instance', `10.${(instance >> 16) & 255}.${(instance >> 8) & 255}.${instance & 255}:9100`),
    ...label('job', `kubernetes-pods-${instance % 5}`),
    ...label('namespace', `team-${instance % 20}`),
    ...label('pod', `app-${instance}-7d9c5b6f4-x${i % 7}`),
    ...label('region', 'eu-central-1'),
  ])
}

/** Bodies of one step: all series once. `keys` come from labelBytes. */
export function* bodies(keys: readonly Uint8Array[], shape: Shape, step: number): Generator<Uint8Array> {
  const timeMs = shape.startMs + step * shape.stepMs
  const value = new DataView(new ArrayBuffer(8))
  for (let from = 0; from < keys.length; from += shape.seriesPerBody) {
    const parts: Uint8Array[] = []
    for (let i = from; i < Math.min(from + shape.seriesPerBody, keys.length); i++) {
      // Counters that grow by a little and never fall, some of them not at all; every tenth a gauge with decimals.
      value.setFloat64(
        0,
        i % 10 === 9
          ? Math.round(Math.sin(i + step / 10) * 1e4) / 100
          : i % 10 < 3
            ? 100 + i
            : 1000 + step * (5 + (i % 17)) + ((step * 7 + i) % 5),
        true,
      )
      const sample: number[] = [0x09, ...new Uint8Array(value.buffer), 0x10]
      varint(sample, timeMs)
      const head: number[] = [0x0a]
      varint(head, keys[i]!.length + 2 + sample.length)
      parts.push(Uint8Array.from(head), keys[i]!, Uint8Array.from([0x12, sample.length, ...sample]))
    }
    yield encodeSnappy(Buffer.concat(parts))
  }
}
