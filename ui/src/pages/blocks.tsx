/** What is in the bucket, on a time line. */
import { get, type Block } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { bytes, dateTime, duration, short } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'

export function Blocks() {
  const tick = useTick(60),
    loaded = useLoad(signal => get<{ blocks: Block[] }>('/api/tercet/blocks', {}, signal), [tick]),
    blocks = loaded.data?.blocks ?? []
  const start = Math.min(...blocks.map(b => b.startMs)),
    end = Math.max(...blocks.map(b => b.endMs)),
    whole = Math.max(1, end - start)
  return (
    <>
      <Head title="Blocks" />
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={blocks.length === 0}
        empty="Nothing is in blocks yet: they are cut every two hours, or at POST /-/flush."
      />
      <div class="stack">
        {['metrics', 'logs', 'traces'].map(signal => {
          const own = blocks.filter(b => b.signal === signal).sort((a, b) => b.startMs - a.startMs),
            levels = [...new Set(own.map(b => b.level))].sort()
          if (own.length === 0) return null
          return (
            <section class="panel" key={signal}>
              <h2>
                {signal}{' '}
                <span class="dim">
                  {own.length} blocks, {bytes(own.reduce((s, b) => s + b.bytes, 0))}
                </span>
              </h2>
              {levels.map(level => (
                <div key={level}>
                  <span class="dim">level {level}</span>
                  <div
                    class="timeline"
                    role="img"
                    aria-label={`Blocks of ${signal} of level ${level} from ${dateTime(start)} to ${dateTime(end)}`}
                  >
                    {own
                      .filter(b => b.level === level)
                      .map(b => (
                        <i
                          key={b.tenant + b.id}
                          class={`sw${level % 10}`}
                          title={`${b.id}: ${dateTime(b.startMs)}, ${duration((b.endMs - b.startMs) / 1000)}, ${bytes(b.bytes)}`}
                          style={{
                            left: `${((b.startMs - start) / whole) * 100}%`,
                            width: `${Math.max(0.3, ((b.endMs - b.startMs) / whole) * 100)}%`,
                          }}
                        />
                      ))}
                  </div>
                </div>
              ))}
              <details>
                <summary>All</summary>
                <div class="scroll" tabIndex={0} role="region" aria-label={`Blocks of ${signal}`}>
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">Block</th>
                        <th scope="col">Tenant</th>
                        <th scope="col">From</th>
                        <th scope="col">Covers</th>
                        <th scope="col" class="num">
                          Level
                        </th>
                        <th scope="col" class="num">
                          Size
                        </th>
                        <th scope="col" class="num">
                          Holds
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {own.slice(0, 500).map(b => (
                        <tr key={b.tenant + b.id}>
                          <td class="mono">{b.id}</td>
                          <td>{b.tenant}</td>
                          <td class="mono">{dateTime(b.startMs)}</td>
                          <td>{duration((b.endMs - b.startMs) / 1000)}</td>
                          <td class="num">{b.level}</td>
                          <td class="num">{bytes(b.bytes)}</td>
                          <td class="num">
                            {short(b.count)} {b.unit}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              </details>
            </section>
          )
        })}
      </div>
    </>
  )
}
