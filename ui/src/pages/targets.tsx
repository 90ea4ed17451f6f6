import { useState } from 'preact/hooks'
import { get } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
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

interface TargetsAnswer {
  data: { activeTargets: Target[]; droppedTargets: Pick<Target, 'discoveredLabels'>[] }
}

const tones: Readonly<Record<string, string>> = { up: 'good', down: 'bad' }

const columns: readonly Column<Target>[] = [
  { title: 'Address', look: 'mono', cell: t => <bdi>{t.scrapeUrl}</bdi> },
  { title: 'State', look: t => tones[t.health] ?? 'dim', cell: t => t.health },
  { title: 'Labels', look: 'mono', cell: t => <TargetLabels target={t} /> },
  {
    title: 'Last scrape',
    cell: t =>
      t.lastScrape.startsWith('0001')
        ? 'not yet'
        : `${ago(Date.parse(t.lastScrape))}, took ${duration(t.lastScrapeDuration)}`,
  },
  { title: 'Error', look: 'bad', cell: t => <bdi>{t.lastError}</bdi> },
]

function TargetLabels({ target }: { target: Target }) {
  return (
    <details>
      <summary>
        <bdi>{selectorOf(target.labels)}</bdi>
      </summary>
      <dl>
        {Object.entries(target.discoveredLabels).map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </details>
  )
}

function Pool({ pool, targets }: { pool: string; targets: readonly Target[] }) {
  const up = targets.filter(t => t.health === 'up').length
  return (
    <section class="panel">
      <h2>
        <bdi>{pool}</bdi>{' '}
        <span class={up === targets.length ? 'good' : 'bad'}>
          {up} of {targets.length} up
        </span>
      </h2>
      <Table
        columns={columns}
        rows={targets}
        keyOf={t => t.scrapeUrl + selectorOf(t.labels)}
        label={`Targets of ${pool}`}
      />
    </section>
  )
}

const droppedMax = 200

function Dropped({ dropped }: { dropped: readonly Pick<Target, 'discoveredLabels'>[] }) {
  return (
    <details class="panel">
      <summary>{dropped.length} found and dropped by relabelling</summary>
      <ul>
        {dropped.slice(0, droppedMax).map((target, i) => (
          <li key={i} class="mono">
            <bdi>{selectorOf(target.discoveredLabels)}</bdi>
          </li>
        ))}
      </ul>
    </details>
  )
}

interface Filter {
  text: string
  isOnlyDown: boolean
}

function FilterInputs({ filter, setFilter }: { filter: Filter; setFilter: (filter: Filter) => void }) {
  return (
    <>
      <input
        aria-label="Filter targets"
        placeholder="filter"
        value={filter.text}
        onInput={e => {
          setFilter({ ...filter, text: e.currentTarget.value })
        }}
      />
      <label>
        <input
          type="checkbox"
          checked={filter.isOnlyDown}
          onChange={e => {
            setFilter({ ...filter, isOnlyDown: e.currentTarget.checked })
          }}
        />
        only those that are not up
      </label>
    </>
  )
}

export function Targets() {
  const tick = useTick(10)
  const [filter, setFilter] = useState<Filter>({ text: '', isOnlyDown: false })
  const loaded = useLoad(async signal => (await get<TargetsAnswer>('/api/v1/targets', {}, signal)).data, [tick])
  const { text, isOnlyDown } = filter
  const active = (loaded.data?.activeTargets ?? []).filter(
    t =>
      (!isOnlyDown || t.health !== 'up') &&
      (text === '' || `${t.scrapeUrl} ${JSON.stringify(t.labels)}`.includes(text)),
  )
  const pools = [...new Set(active.map(t => t.scrapePool))].sort()
  const dropped = loaded.data?.droppedTargets ?? []
  return (
    <>
      <Head title="Targets">
        <FilterInputs filter={filter} setFilter={setFilter} />
      </Head>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={loaded.data?.activeTargets.length === 0}
        empty={
          'Nothing is scraped: name prometheus.yml by --scrape_config_file, or run in a cluster with ServiceMonitors.'
        }
      />
      <div class="stack">
        {pools.map(pool => (
          <Pool key={pool} pool={pool} targets={active.filter(t => t.scrapePool === pool)} />
        ))}
        {dropped.length > 0 && <Dropped dropped={dropped} />}
      </div>
    </>
  )
}
