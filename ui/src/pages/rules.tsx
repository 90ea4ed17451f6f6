import { useState } from 'preact/hooks'
import { get } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { ago, duration, selectorOf } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { linkTo } from '../router.ts'

interface Rule {
  name: string
  query: string
  health: string
  lastError?: string
  evaluationTime: number
  lastEvaluation: string
  type: 'alerting' | 'recording'
  state?: string
  duration?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  alerts?: unknown[]
}
interface Group {
  name: string
  file: string
  interval: number
  rules: Rule[]
  evaluationTime: number
  lastEvaluation: string
}

export function Rules() {
  const tick = useTick(15),
    [text, setText] = useState('')
  const loaded = useLoad(
      async signal => (await get<{ data: { groups: Group[] } }>('/api/v1/rules', {}, signal)).data.groups,
      [tick],
    ),
    groups = (loaded.data ?? [])
      .map(g => ({ ...g, rules: g.rules.filter(r => text === '' || `${r.name} ${r.query}`.includes(text)) }))
      .filter(g => g.rules.length > 0)
  return (
    <>
      <Head title="Rules">
        <input
          aria-label="Filter rules"
          placeholder="filter"
          value={text}
          onInput={e => {
            setText(e.currentTarget.value)
          }}
        />
      </Head>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={loaded.data?.length === 0}
        empty="No rules: name files by --rule_files, or in prometheus.yml."
      />
      <div class="stack">
        {groups.map(g => (
          <section class="panel" key={`${g.file} ${g.name}`}>
            <h2>
              <bdi>{g.name}</bdi>{' '}
              <span class="dim">
                every {duration(g.interval)}, took {duration(g.evaluationTime)}; <bdi>{g.file}</bdi>
              </span>
            </h2>
            <div class="scroll" tabIndex={0} role="region" aria-label={`Rules of ${g.name}`}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">Rule</th>
                    <th scope="col">State</th>
                    <th scope="col">Expression</th>
                    <th scope="col">Last</th>
                  </tr>
                </thead>
                <tbody>
                  {g.rules.map((r, i) => (
                    <tr key={i}>
                      <td>
                        <b>
                          <bdi>{r.name}</bdi>
                        </b>
                        {r.labels !== undefined && Object.keys(r.labels).length > 0 && (
                          <div class="dim mono">{selectorOf(r.labels)}</div>
                        )}
                      </td>
                      <td
                        class={
                          r.health === 'err' || r.state === 'firing' ? 'bad' : r.state === 'pending' ? 'warn' : 'good'
                        }
                      >
                        {r.type === 'recording'
                          ? r.health
                          : `${r.state ?? ''}${r.alerts !== undefined && r.alerts.length > 0 ? ` (${r.alerts.length})` : ''}`}
                        {r.lastError !== undefined && r.lastError !== '' && <div class="bad">{r.lastError}</div>}
                      </td>
                      <td class="mono">
                        <a href={linkTo('/ui/metrics', { q: r.query })}>
                          <bdi>{r.query}</bdi>
                        </a>
                        {(r.duration ?? 0) > 0 && <div class="dim">for {duration(r.duration!)}</div>}
                      </td>
                      <td>{r.lastEvaluation.startsWith('0001') ? 'not yet' : ago(Date.parse(r.lastEvaluation))}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        ))}
      </div>
    </>
  )
}
