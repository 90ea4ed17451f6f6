import { useState } from 'preact/hooks'
import { get, send } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { duration } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'

interface Running {
  id: number
  language: string
  text: string
  seconds: number
  tenant: string
}

export function Queries() {
  const tick = useTick(1),
    [again, setAgain] = useState(0),
    loaded = useLoad(signal => get<{ queries: Running[] }>('/api/tercet/queries', {}, signal), [tick, again]),
    list = loaded.data?.queries ?? []
  return (
    <>
      <Head title="Running queries" />
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={list.length === 0}
        empty="None runs at this moment."
      />
      {list.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Language</th>
              <th scope="col">Query</th>
              <th scope="col" class="num">
                Runs for
              </th>
              <th scope="col">End it</th>
            </tr>
          </thead>
          <tbody>
            {list.map(q => (
              <tr key={q.id}>
                <td>{q.language}</td>
                <td class="mono">
                  <bdi>{q.text}</bdi>
                </td>
                <td class="num">{duration(q.seconds)}</td>
                <td>
                  <button
                    onClick={() => {
                      const look = (): void => {
                        setAgain(a => a + 1)
                      }
                      send('DELETE', `/api/tercet/queries/${q.id}`).then(look, look)
                    }}
                  >
                    Cancel
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}
