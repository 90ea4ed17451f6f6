import { useState } from 'preact/hooks'
import { get, send } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { dateTime, secondsOf } from '../format.ts'
import { useLoad } from '../hooks.ts'

/** Lines go from queries at once, and from the bucket after a delay in which it can be taken back. */
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
      await send(
        'POST',
        `/loki/api/v1/delete?${new URLSearchParams({ query, start: String(end - seconds), end: String(end) }).toString()}`,
      )
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

export function Settings() {
  const [text, setText] = useState(''),
    [isOnlySet, setOnlySet] = useState(false),
    [said, setSaid] = useState(''),
    settings = useLoad(signal => get<Settings>('/api/tercet/settings', {}, signal), []),
    scrape = useLoad(
      async signal => (await get<{ data: { yaml: string } }>('/api/v1/status/config', {}, signal)).data.yaml,
      [],
    ),
    [again, setAgain] = useState(0),
    deletions = useLoad(signal => get<DeleteRequest[]>('/loki/api/v1/delete', {}, signal), [again])
  const shown = (settings.data?.settings ?? []).filter(
    s =>
      (!isOnlySet || s.source !== 'default') &&
      `${s.name} ${s.value} ${s.help}`.toLowerCase().includes(text.toLowerCase()),
  )
  const act = (path: string, done: string): void => {
    setSaid('…')
    send('POST', path).then(
      () => {
        setSaid(done)
      },
      (reason: unknown) => {
        setSaid(reason instanceof Error ? reason.message : String(reason))
      },
    )
  }
  return (
    <>
      <Head title="Configuration">
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
      </Head>
      <p aria-live="polite">{said}</p>
      <div class="stack">
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
            only what was set
          </label>
        </div>
        <Status error={settings.error} isLoading={settings.isLoading} isEmpty={shown.length === 0} />
        <div class="scroll" tabIndex={0} role="region" aria-label="Keys">
          <table>
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">Value</th>
                <th scope="col">From</th>
                <th scope="col">What it is for</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(s => (
                <tr key={s.name}>
                  <td class="mono">{s.name}</td>
                  <td class="mono">
                    <bdi>{s.value}</bdi>
                  </td>
                  <td class={s.source === 'default' ? 'dim' : 'good'}>{s.source}</td>
                  <td>{s.help}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <section class="panel">
          <h2>Requests to delete lines</h2>
          <Status
            error={deletions.error}
            isLoading={deletions.isLoading}
            isEmpty={(deletions.data?.length ?? 0) === 0}
            empty="There are none."
          />
          <DeleteForm
            onDone={() => {
              setAgain(a => a + 1)
            }}
          />
          {(deletions.data?.length ?? 0) > 0 && (
            <table>
              <thead>
                <tr>
                  <th scope="col">Query</th>
                  <th scope="col">From</th>
                  <th scope="col">To</th>
                  <th scope="col">State</th>
                  <th scope="col">Take back</th>
                </tr>
              </thead>
              <tbody>
                {deletions.data!.map(d => (
                  <tr key={d.request_id}>
                    <td class="mono">
                      <bdi>{d.query}</bdi>
                    </td>
                    <td>{dateTime(d.start_time * 1000)}</td>
                    <td>{dateTime(d.end_time * 1000)}</td>
                    <td>{d.status}</td>
                    <td>
                      <button
                        onClick={() => {
                          const look = (): void => {
                            setAgain(a => a + 1)
                          }
                          send(
                            'DELETE',
                            `/loki/api/v1/delete?${new URLSearchParams({ request_id: d.request_id }).toString()}`,
                          ).then(look, look)
                        }}
                      >
                        Take back
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <details class="panel">
          <summary>As one text</summary>
          <pre tabIndex={0}>{scrape.data ?? ''}</pre>
        </details>
      </div>
    </>
  )
}
