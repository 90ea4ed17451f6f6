/** Dashboards of Grafana, read-only: those that are shipped, and any that is dropped here. */
import { useMemo, useState } from 'preact/hooks'
import { get } from '../api.ts'
import { PanelView } from '../components/panel.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { useVariables, VariableBar } from '../components/variables.tsx'
import { fill, laidOut, readDashboard, type Dashboard, type Values } from '../grafana.ts'
import { remember, remembered, useLoad, useTick } from '../hooks.ts'
import { go, usePlace } from '../router.ts'
import { useRange, type TimeRange } from '../time.ts'
import kubernetes from '../dashboards/kubernetes.json?raw'
import node from '../dashboards/node.json?raw'
import opentelemetry from '../dashboards/opentelemetry.json?raw'
import tercet from '../dashboards/tercet.json?raw'

const shipped: readonly (readonly [string, string])[] = [
  ['tercet', tercet],
  ['node', node],
  ['kubernetes', kubernetes],
  ['opentelemetry', opentelemetry],
]

export function Dashboards() {
  const { path } = usePlace(),
    name = decodeURIComponent(path.slice('/ui/dashboards/'.length)),
    own = useOwnDashboards()
  const served = useLoad(loadServed, []),
    text = own.texts[name] ?? served.data?.find(([n]) => n === name)?.[1] ?? shipped.find(([n]) => n === name)?.[1],
    dashboard = useMemo(() => (text === undefined ? undefined : readable(text)), [text])
  if (dashboard !== undefined) return <DashboardView key={name} dashboard={dashboard} />
  return (
    <>
      <Head title="Dashboards" />
      <div class="stack">
        <ul>
          {[...shipped, ...(served.data ?? []), ...Object.entries(own.texts)].map(([key, content]) => (
            <li key={key}>
              <a href={`/ui/dashboards/${key}`}>{readable(content)?.title ?? 'unreadable'}</a>
              {own.texts[key] !== undefined && (
                <>
                  {' '}
                  <button
                    onClick={() => {
                      own.forget(key)
                    }}
                  >
                    Forget
                  </button>
                </>
              )}
            </li>
          ))}
        </ul>
        <DropZone onFiles={own.take} />
        {own.error !== undefined && (
          <p class="error" role="alert">
            {own.error}
          </p>
        )}
        {name !== '' && text === undefined && !served.isLoading && (
          <p class="error">There is no dashboard {JSON.stringify(name)} here.</p>
        )}
      </div>
    </>
  )
}

async function loadServed(signal: AbortSignal): Promise<(readonly [string, string])[]> {
  const { dashboards } = await get<{ dashboards: { name: string; text: string }[] }>(
    '/api/tercet/dashboards',
    {},
    signal,
  )
  return dashboards.map(d => [d.name, d.text] as const)
}

function readable(text: string): Dashboard | undefined {
  try {
    return readDashboard(text)
  } catch {
    return undefined
  }
}

interface OwnDashboards {
  texts: Readonly<Record<string, string>>
  /** Why the last file was not taken. */
  error: string | undefined
  take: (files: FileList | null | undefined) => void
  forget: (key: string) => void
}

/** The dashboards that were dropped here; they stay in this browser. */
function useOwnDashboards(): OwnDashboards {
  const [texts, setTexts] = useState<Record<string, string>>(() => remembered('dashboards', {})),
    [error, setError] = useState<string | undefined>(undefined)
  const change = (by: (before: Record<string, string>) => Record<string, string>): void => {
    setTexts(before => {
      const next = by(before)
      remember('dashboards', next)
      return next
    })
  }
  const takeOne = async (file: File): Promise<void> => {
    try {
      const content = await file.text(),
        read = readDashboard(content),
        key = (read.uid ?? read.title).replaceAll(/[^a-zA-Z0-9_-]+/g, '-')
      change(before => ({ ...before, [key]: content }))
      setError(undefined)
      go(`/ui/dashboards/${key}`)
    } catch (reason) {
      setError(`${file.name}: ${reason instanceof Error ? reason.message : String(reason)}`)
    }
  }
  return {
    texts,
    error,
    take: files => {
      for (const file of files ?? []) void takeOne(file)
    },
    forget: key => {
      change(({ [key]: _gone, ...rest }) => rest)
    },
  }
}

function DropZone({ onFiles }: { onFiles: (files: FileList | null | undefined) => void }) {
  const [isOver, setOver] = useState(false)
  return (
    <div
      class={`drop ${isOver ? 'over' : ''}`}
      onDragOver={e => {
        e.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => {
        setOver(false)
      }}
      onDrop={e => {
        e.preventDefault()
        setOver(false)
        onFiles(e.dataTransfer?.files)
      }}
    >
      <p>Drop a dashboard of Grafana here, as JSON. It stays in this browser.</p>
      <label>
        or choose a file{' '}
        <input
          class="file"
          type="file"
          accept="application/json,.json"
          onChange={e => {
            onFiles(e.currentTarget.files)
          }}
        />
      </label>
    </div>
  )
}

function DashboardView({ dashboard }: { dashboard: Dashboard }) {
  const { params } = usePlace(),
    tick = useTick(refreshOf(params)),
    [again, setAgain] = useState(0),
    range = useRange(tick + again),
    variables = useVariables(dashboard)
  return (
    <>
      <Head title={dashboard.title}>
        <RangePicker
          onRefresh={() => {
            setAgain(a => a + 1)
          }}
        />
      </Head>
      <div class="stack">
        <p>
          <a href="/ui/dashboards">All dashboards</a>
        </p>
        <VariableBar {...variables} />
        <Status error={variables.error} isLoading={!variables.isReady} isEmpty={!variables.isReady} />
        {variables.isReady && (
          <Panels dashboard={dashboard} values={variables.values} range={range} tick={tick + again} />
        )}
      </div>
    </>
  )
}

interface PanelsProps {
  dashboard: Dashboard
  values: Values
  range: TimeRange
  tick: number
}

function Panels({ dashboard, values, range, tick }: PanelsProps) {
  return (
    <div class="grid24">
      {laidOut(dashboard.panels, values).map(({ panel, values: own }) => (
        <div
          key={panel.id}
          style={{ gridColumn: `span ${panel.type === 'row' ? 24 : Math.min(24, panel.gridPos?.w ?? 12)}` }}
        >
          {panel.type === 'row' ? (
            <h2>{fill(panel.title ?? '', own, '', 1)}</h2>
          ) : (
            <PanelView panel={panel} values={own} range={range} tick={tick} />
          )}
        </div>
      ))}
    </div>
  )
}
