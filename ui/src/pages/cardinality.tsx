/** What there are many series of: by metric, by label, by value; and what grew. */
import { useState } from 'preact/hooks'
import { get, queryInstant, type Sample } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { short } from '../format.ts'
import { useLoad } from '../hooks.ts'
import { linkTo } from '../router.ts'

interface Entry {
  name: string
  value: number
}
interface TsdbStatus {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number }
  seriesCountByMetricName: Entry[]
  labelValueCountByLabelName: Entry[]
  memoryInBytesByLabelName: Entry[]
  seriesCountByLabelValuePair: Entry[]
}

export function Cardinality() {
  const [metric, setMetric] = useState(''),
    status = useLoad(
      async signal => (await get<{ data: TsdbStatus }>('/api/v1/status/tsdb', { limit: '30' }, signal)).data,
      [],
    )
  const labels = useLoad(
    async signal => {
      if (metric === '') return undefined
      const selector = `{__name__=${JSON.stringify(metric)}}`,
        names = (await get<{ data: string[] }>('/api/v1/labels', { 'match[]': selector }, signal)).data
          .filter(n => n !== '__name__')
          .slice(0, 25)
      return Promise.all(
        names.map(async name => ({
          name,
          value: Number(
            (
              (
                await queryInstant(
                  `count(count by (${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}) (${selector}))`,
                  undefined,
                  signal,
                )
              ).result as Sample[]
            )[0]?.value[1] ?? 0,
          ),
        })),
      )
    },
    [metric],
  )
  const grown = useLoad(
    async signal =>
      (
        (
          await queryInstant(
            'topk(15, count by (__name__) ({__name__=~".+"}) - (count by (__name__) ({__name__=~".+"} offset 1h)) > 0)',
            undefined,
            signal,
          )
        ).result as Sample[]
      ).map((s): Entry => ({ name: s.metric['__name__'] ?? '', value: Number(s.value[1]) })),
    [],
  )
  const list = (title: string, entries: readonly Entry[] | undefined, isMetric = false) => (
    <section class="panel">
      <h2>{title}</h2>
      {entries === undefined ? null : entries.length === 0 ? (
        <p class="empty">None.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="num">
                Count
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map(e => (
              <tr key={e.name}>
                <td class="mono">
                  {isMetric ? (
                    <button
                      class="link mono"
                      aria-pressed={metric === e.name}
                      onClick={() => {
                        setMetric(e.name)
                      }}
                    >
                      <bdi>{e.name}</bdi>
                    </button>
                  ) : (
                    <bdi>{e.name}</bdi>
                  )}
                </td>
                <td class="num">{short(e.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
  return (
    <>
      <Head title="Cardinality" />
      <Status error={status.error} isLoading={status.isLoading} isEmpty={status.data === undefined} empty="" />
      {status.data !== undefined && (
        <div class="stack">
          <div class="cards">
            <div class="card">
              <div class="what">Active series</div>
              <div class="big">{short(status.data.headStats.numSeries)}</div>
            </div>
            <div class="card">
              <div class="what">Label pairs</div>
              <div class="big">{short(status.data.headStats.numLabelPairs)}</div>
            </div>
            <div class="card">
              <div class="what">Chunks in memory</div>
              <div class="big">{short(status.data.headStats.chunkCount)}</div>
            </div>
          </div>
          {metric !== '' && (
            <section class="panel">
              <h2>
                Labels of <bdi>{metric}</bdi>{' '}
                <button
                  onClick={() => {
                    setMetric('')
                  }}
                >
                  Close
                </button>
              </h2>
              <Status error={labels.error} isLoading={labels.isLoading} isEmpty={labels.data?.length === 0} />
              <table>
                <thead>
                  <tr>
                    <th scope="col">Label</th>
                    <th scope="col" class="num">
                      Values
                    </th>
                    <th scope="col">Look</th>
                  </tr>
                </thead>
                <tbody>
                  {[...(labels.data ?? [])]
                    .sort((a, b) => b.value - a.value)
                    .map(e => (
                      <tr key={e.name}>
                        <td class="mono">
                          <bdi>{e.name}</bdi>
                        </td>
                        <td class="num">{e.value}</td>
                        <td>
                          <a
                            href={linkTo('/ui/metrics', {
                              q: `topk(20, count by (${e.name}) ({__name__=${JSON.stringify(metric)}}))`,
                              view: 'table',
                            })}
                          >
                            by value
                          </a>
                        </td>
                      </tr>
                    ))}
                </tbody>
              </table>
            </section>
          )}
          <div class="cards">
            {list('Series by metric', status.data.seriesCountByMetricName, true)}
            {list('Values by label', status.data.labelValueCountByLabelName)}
            {list('Series by label and value', status.data.seriesCountByLabelValuePair)}
            {list('Grew most in an hour', grown.data, true)}
          </div>
        </div>
      )}
    </>
  )
}
