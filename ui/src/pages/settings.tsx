import { useState } from 'preact/hooks'
import { get, send } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { dateTime, secondsOf } from '../format.ts'
import { useLoad } from '../hooks.ts'

/** Deleted lines leave queries at once, and the bucket after a delay in which the request can be cancelled. */
function DeleteForm({ onDone }: { onDone: () => void }) {
  const [query, setQuery] = useState(''),
    [since, setSince] = useState('24h'),
    [error, setError] = useState<string | undefined>(undefined)
  const create = async (): Promise<void> => {
    setError(undefined)
    try {
      const seconds = secondsOf(since)
      if (Number.isNaN(seconds) || seconds === 0) throw new Error(`${JSON.stringify(since)} is no duration like 24h`)
      const end = Math.floor(Date.now() / 1000)
      const parameters = new URLSearchParams({ query, start: String(end - seconds), end: String(end) })
      await send('POST', `/loki/api/v1/delete?${parameters.toString()}`)
      setQuery('')
      onDone()
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason))
    }
  }
  return (
    <>
      <form
        class="row"
        onSubmit={e => {
          e.preventDefault()
          void create()
        }}
      >
        <label class="grow">
          Lines of{' '}
          <input
            class="grow mono"
            value={query}
            placeholder={'{app="web"} |= "secret"'}
            onInput={e => {
              setQuery(e.currentTarget.value)
            }}
          />
        </label>
        <label>
          of the last{' '}
          <input
            size={5}
            value={since}
            onInput={e => {
              setSince(e.currentTarget.value)
            }}
          />
        </label>
        <button disabled={query.trim() === ''}>Delete</button>
      </form>
      {error !== undefined && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </>
  )
}

interface Settings {
  settings: { name: string; value: string; source: string; help: string }[]
}
interface DeleteRequest {
  request_id: string
  query: string
  start_time: number
  end_time: number
  status: string
  created_at: number
}

type ShownSetting = Settings['settings'][number]

const settingColumns: readonly Column<ShownSetting>[] = [
  { title: 'Key', look: 'mono', cell: s => s.name },
  { title: 'Value', look: 'mono', cell: s => <bdi>{s.value}</bdi> },
  { title: 'From', look: s => (s.source === 'default' ? 'dim' : 'good'), cell: s => s.source },
  { title: 'What it is for', cell: s => s.help },
]

/** All keys with their values, and where each value is from. */
function Keys() {
  const [text, setText] = useState('')
  const [isOnlySet, setOnlySet] = useState(false)
  const settings = useLoad(signal => get<Settings>('/api/tercet/settings', {}, signal), [])
  const shown = (settings.data?.settings ?? []).filter(
    s =>
      (!isOnlySet || s.source !== 'default') &&
      `${s.name} ${s.value} ${s.help}`.toLowerCase().includes(text.toLowerCase()),
  )
  return (
    <>
      <div class="row">
        <input
          aria-label="Filter keys"
          placeholder="filter"
          value={text}
          onInput={e => {
            setText(e.currentTarget.value)
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={isOnlySet}
            onChange={e => {
              setOnlySet(e.currentTarget.checked)
            }}
          />
          only keys that were set
        </label>
      </div>
      <Status error={settings.error} isLoading={settings.isLoading} isEmpty={shown.length === 0} />
      <Table columns={settingColumns} rows={shown} keyOf={s => s.name} label="Keys" />
    </>
  )
}

function deletionColumns(onChange: () => void): Column<DeleteRequest>[] {
  const cancel = (id: string): void => {
    const parameters = new URLSearchParams({ request_id: id }).toString()
    send('DELETE', `/loki/api/v1/delete?${parameters}`).then(onChange, onChange)
  }
  return [
    { title: 'Query', look: 'mono', cell: d => <bdi>{d.query}</bdi> },
    { title: 'From', cell: d => dateTime(d.start_time * 1000) },
    { title: 'To', cell: d => dateTime(d.end_time * 1000) },
    { title: 'State', cell: d => d.status },
    {
      title: 'Take back',
      cell: d => (
        <button
          onClick={() => {
            cancel(d.request_id)
          }}
        >
          Take back
        </button>
      ),
    },
  ]
}

function Deletions() {
  const [again, setAgain] = useState(0)
  const deletions = useLoad(signal => get<DeleteRequest[]>('/loki/api/v1/delete', {}, signal), [again])
  const list = deletions.data ?? []
  const lookAgain = (): void => {
    setAgain(a => a + 1)
  }
  return (
    <section class="panel">
      <h2>Requests to delete lines</h2>
      <Status
        error={deletions.error}
        isLoading={deletions.isLoading}
        isEmpty={list.length === 0}
        empty="There are none."
      />
      <DeleteForm onDone={lookAgain} />
      {list.length > 0 && <Table columns={deletionColumns(lookAgain)} rows={list} keyOf={d => d.request_id} />}
    </section>
  )
}

/** The actions of an operator, and what became of the last one. */
function Actions({ onSaid }: { onSaid: (text: string) => void }) {
  const act = (path: string, done: string): void => {
    onSaid('…')
    send('POST', path).then(
      () => {
        onSaid(done)
      },
      (reason: unknown) => {
        onSaid(reason instanceof Error ? reason.message : String(reason))
      },
    )
  }
  return (
    <>
      <button
        onClick={() => {
          act('/-/reload', 'Files were read again.')
        }}
      >
        Read files again
      </button>
      <button
        onClick={() => {
          act('/-/flush', 'Everything is in the bucket.')
        }}
      >
        Flush to the bucket
      </button>
    </>
  )
}

export function Settings() {
  const [said, setSaid] = useState('')
  const config = useLoad(
    async signal => (await get<{ data: { yaml: string } }>('/api/v1/status/config', {}, signal)).data.yaml,
    [],
  )
  return (
    <>
      <Head title="Configuration">
        <Actions onSaid={setSaid} />
      </Head>
      <p aria-live="polite">{said}</p>
      <div class="stack">
        <Keys />
        <Deletions />
        <details class="panel">
          <summary>As one text</summary>
          <pre tabIndex={0}>{config.data ?? ''}</pre>
        </details>
      </div>
    </>
  )
}
