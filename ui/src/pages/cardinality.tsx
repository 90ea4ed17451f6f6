/** Where the series are: by metric, by label, by value; and which metrics grew. */
import { useState } from 'preact/hooks'
import { get, queryInstant, type Sample } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
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

const growthQuery =
  'topk(15, count by (__name__) ({__name__=~".+"}) - (count by (__name__) ({__name__=~".+"} offset 1h)) > 0)'
const labelsMax = 25

async function askInstant(query: string, signal: AbortSignal): Promise<Sample[]> {
  return (await queryInstant(query, undefined, signal)).result as Sample[]
}

/** How many values each label of a metric has. */
async function valuesByLabel(metric: string, signal: AbortSignal): Promise<Entry[]> {
  const selector = `{__name__=${JSON.stringify(metric)}}`
  const { data } = await get<{ data: string[] }>('/api/v1/labels', { 'match[]': selector }, signal)
  const names = data.filter(name => name !== '__name__').slice(0, labelsMax)
  return Promise.all(
    names.map(async name => {
      const label = /^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)
      const [count] = await askInstant(`count(count by (${label}) (${selector}))`, signal)
      return { name, value: Number(count?.value[1] ?? 0) }
    }),
  )
}

/** Metrics whose series grew most in the last hour. */
async function grownMetrics(signal: AbortSignal): Promise<Entry[]> {
  const samples = await askInstant(growthQuery, signal)
  return samples.map(s => ({ name: s.metric['__name__'] ?? '', value: Number(s.value[1]) }))
}

interface ListProps {
  title: string
  entries: readonly Entry[] | undefined
  /** Names are metrics, which can be looked into. */
  picked?: string
  onPick?: (metric: string) => void
}

function List({ title, entries, picked, onPick }: ListProps) {
  const nameOf = ({ name }: Entry) =>
    onPick === undefined ? (
      <bdi>{name}</bdi>
    ) : (
      <button
        class="link mono"
        aria-pressed={picked === name}
        onClick={() => {
          onPick(name)
        }}
      >
        <bdi>{name}</bdi>
      </button>
    )
  const columns: Column<Entry>[] = [
    { title: 'Name', look: 'mono', cell: nameOf },
    { title: 'Count', isNumber: true, cell: e => short(e.value) },
  ]
  return (
    <section class="panel">
      <h2>{title}</h2>
      {entries !== undefined && entries.length === 0 && <p class="empty">None.</p>}
      {entries !== undefined && entries.length > 0 && <Table columns={columns} rows={entries} keyOf={e => e.name} />}
    </section>
  )
}

function MetricLabels({ metric, onClose }: { metric: string; onClose: () => void }) {
  const labels = useLoad(signal => valuesByLabel(metric, signal), [metric])
  const linkOf = ({ name }: Entry): string =>
    linkTo('/ui/metrics', { q: `topk(20, count by (${name}) ({__name__=${JSON.stringify(metric)}}))`, view: 'table' })
  const columns: Column<Entry>[] = [
    { title: 'Label', look: 'mono', cell: e => <bdi>{e.name}</bdi> },
    { title: 'Values', isNumber: true, cell: e => e.value },
    { title: 'Look', cell: e => <a href={linkOf(e)}>by value</a> },
  ]
  return (
    <section class="panel">
      <h2>
        Labels of <bdi>{metric}</bdi> <button onClick={onClose}>Close</button>
      </h2>
      <Status error={labels.error} isLoading={labels.isLoading} isEmpty={labels.data?.length === 0} />
      <Table columns={columns} rows={[...(labels.data ?? [])].sort((a, b) => b.value - a.value)} keyOf={e => e.name} />
    </section>
  )
}

function Totals({ headStats }: TsdbStatus) {
  const totals = [
    ['Active series', headStats.numSeries],
    ['Label pairs', headStats.numLabelPairs],
    ['Chunks in memory', headStats.chunkCount],
  ] as const
  return (
    <div class="cards">
      {totals.map(([title, value]) => (
        <div class="card" key={title}>
          <div class="what">{title}</div>
          <div class="big">{short(value)}</div>
        </div>
      ))}
    </div>
  )
}

export function Cardinality() {
  const [metric, setMetric] = useState('')
  const status = useLoad(
    async signal => (await get<{ data: TsdbStatus }>('/api/v1/status/tsdb', { limit: '30' }, signal)).data,
    [],
  )
  const grown = useLoad(grownMetrics, [])
  const close = (): void => {
    setMetric('')
  }
  return (
    <>
      <Head title="Cardinality" />
      <Status error={status.error} isLoading={status.isLoading} isEmpty={status.data === undefined} empty="" />
      {status.data !== undefined && (
        <div class="stack">
          <Totals {...status.data} />
          {metric !== '' && <MetricLabels metric={metric} onClose={close} />}
          <div class="cards">
            <List
              title="Series by metric"
              entries={status.data.seriesCountByMetricName}
              picked={metric}
              onPick={setMetric}
            />
            <List title="Values by label" entries={status.data.labelValueCountByLabelName} />
            <List title="Series by label and value" entries={status.data.seriesCountByLabelValuePair} />
            <List title="Grew most in an hour" entries={grown.data} picked={metric} onPick={setMetric} />
          </div>
        </div>
      )}
    </>
  )
}
