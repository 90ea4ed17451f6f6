import { render, type ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import './style.css'
import { Shell, Status } from './components/shell.tsx'
import { Overview } from './pages/overview.tsx'
import { followLinks, usePlace } from './router.ts'

/** Pages beyond the first are loaded when they are opened. */
const lazy: Readonly<Record<string, () => Promise<ComponentType>>> = {
  '/ui/metrics': async () => (await import('./pages/metrics.tsx')).Metrics,
  '/ui/logs': async () => (await import('./pages/logs.tsx')).Logs,
  '/ui/traces': async () => (await import('./pages/traces.tsx')).Traces,
  '/ui/trace': async () => (await import('./pages/trace.tsx')).TracePage,
  '/ui/services': async () => (await import('./pages/services.tsx')).Services,
  '/ui/dashboards': async () => (await import('./pages/dashboards.tsx')).Dashboards,
  '/ui/alerts': async () => (await import('./pages/alerts.tsx')).Alerts,
  '/ui/rules': async () => (await import('./pages/rules.tsx')).Rules,
  '/ui/targets': async () => (await import('./pages/targets.tsx')).Targets,
  '/ui/cardinality': async () => (await import('./pages/cardinality.tsx')).Cardinality,
  '/ui/blocks': async () => (await import('./pages/blocks.tsx')).Blocks,
  '/ui/queries': async () => (await import('./pages/queries.tsx')).Queries,
  '/ui/settings': async () => (await import('./pages/settings.tsx')).Settings,
}

function App() {
  const { path } = usePlace(),
    key = Object.keys(lazy).find(p => path === p || path.startsWith(`${p}/`)) ?? '',
    [loaded, setLoaded] = useState<{ key: string; Page: ComponentType } | undefined>(undefined),
    [error, setError] = useState<string | undefined>(undefined)
  useEffect(() => {
    if (key === '') return undefined
    let isGone = false
    setError(undefined)
    lazy[key]!().then(
      Page => {
        if (!isGone) setLoaded({ key, Page })
      },
      (reason: unknown) => {
        if (!isGone) setError(`The page could not be loaded: ${String(reason)}`)
      },
    )
    return () => {
      isGone = true
    }
  }, [key])
  const Page = key === '' ? undefined : loaded?.key === key ? loaded.Page : undefined
  return (
    <Shell>
      {path === '/' || path === '/ui/' ? (
        <Overview />
      ) : key === '' ? (
        <>
          <h1>No such page</h1>
          <p>
            <a href="/">Overview</a>
          </p>
        </>
      ) : Page === undefined ? (
        <Status error={error} isLoading isEmpty />
      ) : (
        <Page key={key} />
      )}
    </Shell>
  )
}

// Links of an Alertmanager's notifications: /#/alerts?receiver=…
if (/^#\/(alerts|silences)/.test(location.hash)) history.replaceState(null, '', '/ui/alerts')

addEventListener('click', followLinks)
render(<App />, document.getElementById('app')!)
