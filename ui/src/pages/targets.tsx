import { useState } from 'preact/hooks'
import { get } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { ago, duration, selectorOf } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'

interface Target {
  discoveredLabels: Record<string, string>
  labels: Record<string, string>
  scrapePool: string
  scrapeUrl: string
  lastError: string
  lastScrape: string
  lastScrapeDuration: number
  health: string
  scrapeInterval: string
}

export function Targets() {
  const tick = useTick(10),
    [text, setText] = useState(''),
    [isOnlyDown, setOnlyDown] = useState(false)
  const loaded = useLoad(
    async signal =>
      (
        await get<{
          data: { activeTargets: Target[]; droppedTargets: { discoveredLabels: Record<string, string> }[] }
        }>('/api/v1/targets', {}, signal)
      ).data,
    [tick],
  )
  const active = (loaded.data?.activeTargets ?? []).filter(
      t =>
        (!isOnlyDown || t.health !== 'up') &&
        (text === '' || `${t.scrapeUrl} ${JSON.stringify(t.labels)}`.includes(text)),
    ),
    pools = [...new Set(active.map(t => t.scrapePool))].sort(),
    dropped = loaded.data?.droppedTargets ?? []
  return (
    <>
      <Head title="Targets">
        <input
          aria-label="Filter targets"
          placeholder="filter"
          value={text}
          onInput={e => {
            setText(e.currentTarget.value)
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={isOnlyDown}
            onChange={e => {
              setOnlyDown(e.currentTarget.checked)
            }}
          />
          only those that are not up
        </label>
      </Head>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={loaded.data?.activeTargets.length === 0}
        empty="Nothing is scraped: name prometheus.yml by --scrape_config_file, or run in a cluster with ServiceMonitors."
      />
      <div class="stack">
        {pools.map(pool => {
          const own = active.filter(t => t.scrapePool === pool),
            up = own.filter(t => t.health === 'up').length
          return (
            <section class="panel" key={pool}>
              <h2>
                <bdi>{pool}</bdi>{' '}
                <span class={up === own.length ? 'good' : 'bad'}>
                  {up} of {own.length} up
                </span>
              </h2>
              <div class="scroll" tabIndex={0} role="region" aria-label={`Targets of ${pool}`}>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Address</th>
                      <th scope="col">State</th>
                      <th scope="col">Labels</th>
                      <th scope="col">Last scrape</th>
                      <th scope="col">Error</th>
                    </tr>
                  </thead>
                  <tbody>
                    {own.slice(0, 500).map(t => (
                      <tr key={t.scrapeUrl + selectorOf(t.labels)}>
                        <td class="mono">
                          <bdi>{t.scrapeUrl}</bdi>
                        </td>
                        <td class={t.health === 'up' ? 'good' : t.health === 'down' ? 'bad' : 'dim'}>{t.health}</td>
                        <td class="mono">
                          <details>
                            <summary>
                              <bdi>{selectorOf(t.labels)}</bdi>
                            </summary>
                            <dl>
                              {Object.entries(t.discoveredLabels).map(([n, v]) => (
                                <>
                                  <dt>{n}</dt>
                                  <dd>{v}</dd>
                                </>
                              ))}
                            </dl>
                          </details>
                        </td>
                        <td>
                          {t.lastScrape.startsWith('0001')
                            ? 'not yet'
                            : `${ago(Date.parse(t.lastScrape))}, took ${duration(t.lastScrapeDuration)}`}
                        </td>
                        <td class="bad">
                          <bdi>{t.lastError}</bdi>
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </section>
          )
        })}
        {dropped.length > 0 && (
          <details class="panel">
            <summary>{dropped.length} found and dropped by relabelling</summary>
            <ul>
              {dropped.slice(0, 200).map((d, i) => (
                <li key={i} class="mono">
                  <bdi>{selectorOf(d.discoveredLabels)}</bdi>
                </li>
              ))}
            </ul>
          </details>
        )}
      </div>
    </>
  )
}
