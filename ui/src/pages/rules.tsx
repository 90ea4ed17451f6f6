import { useState } from 'preact/hooks'
import { get } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
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

function toneOf({ health, state }: Rule): string {
  if (health === 'err' || state === 'firing') return 'bad'
  return state === 'pending' ? 'warn' : 'good'
}

/** The state of an alert with the number of its alerts, or the health of a recording rule. */
function stateOf({ type, health, state = '', alerts = [] }: Rule): string {
  if (type === 'recording') return health
  return alerts.length > 0 ? `${state} (${alerts.length})` : state
}

const columns: readonly Column<Rule>[] = [
  {
    title: 'Rule',
    cell: ({ name, labels = {} }) => (
      <>
        <b>
          <bdi>{name}</bdi>
        </b>
        {Object.keys(labels).length > 0 && <div class="dim mono">{selectorOf(labels)}</div>}
      </>
    ),
  },
  {
    title: 'State',
    look: toneOf,
    cell: rule => (
      <>
        {stateOf(rule)}
        {rule.lastError !== undefined && rule.lastError !== '' && <div class="bad">{rule.lastError}</div>}
      </>
    ),
  },
  {
    title: 'Expression',
    look: 'mono',
    cell: rule => (
      <>
        <a href={linkTo('/ui/metrics', { q: rule.query })}>
          <bdi>{rule.query}</bdi>
        </a>
        {(rule.duration ?? 0) > 0 && <div class="dim">for {duration(rule.duration ?? 0)}</div>}
      </>
    ),
  },
  {
    title: 'Last',
    cell: rule => (rule.lastEvaluation.startsWith('0001') ? 'not yet' : ago(Date.parse(rule.lastEvaluation))),
  },
]

function GroupRules({ group }: { group: Group }) {
  return (
    <section class="panel">
      <h2>
        <bdi>{group.name}</bdi>{' '}
        <span class="dim">
          every {duration(group.interval)}, took {duration(group.evaluationTime)}; <bdi>{group.file}</bdi>
        </span>
      </h2>
      <Table
        columns={columns}
        rows={group.rules}
        keyOf={(_rule, i) => i}
        label={`Rules of ${group.name}`}
        rowsMax={Infinity}
      />
    </section>
  )
}

export function Rules() {
  const tick = useTick(15)
  const [text, setText] = useState('')
  const loaded = useLoad(
    async signal => (await get<{ data: { groups: Group[] } }>('/api/v1/rules', {}, signal)).data.groups,
    [tick],
  )
  const groups = (loaded.data ?? [])
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
        {groups.map(group => (
          <GroupRules key={`${group.file} ${group.name}`} group={group} />
        ))}
      </div>
    </>
  )
}
