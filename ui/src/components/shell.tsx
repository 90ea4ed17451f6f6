import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { signOut, warningEvent, whoami } from '../api.ts'
import { remember, remembered, useLoad } from '../hooks.ts'
import { usePlace } from '../router.ts'

export const pages = [
  ['', [['/', 'Overview']]],
  [
    'Explore',
    [
      ['/ui/metrics', 'Metrics'],
      ['/ui/logs', 'Logs'],
      ['/ui/traces', 'Traces'],
      ['/ui/services', 'Service graph'],
      ['/ui/dashboards', 'Dashboards'],
    ],
  ],
  [
    'Operate',
    [
      ['/ui/alerts', 'Alerts and silences'],
      ['/ui/rules', 'Rules'],
      ['/ui/targets', 'Targets'],
      ['/ui/cardinality', 'Cardinality'],
      ['/ui/blocks', 'Blocks'],
      ['/ui/queries', 'Running queries'],
      ['/ui/settings', 'Configuration'],
    ],
  ],
] as const

type Theme = 'system' | 'light' | 'dark'
const themes: readonly Theme[] = ['system', 'light', 'dark']

function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(() => remembered<Theme>('theme', 'system'))
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
    remember('theme', theme)
    // Canvases have their colours from the page.
    dispatchEvent(new Event('tercet-theme'))
  }, [theme])
  return [
    theme,
    () => {
      setTheme(t => themes[(themes.indexOf(t) + 1) % themes.length]!)
    },
  ]
}

/** What an answer on this page lacked; gone with the page. */
function Incomplete({ path }: { path: string }) {
  const [warning, setWarning] = useState<string | undefined>(undefined)
  useEffect(() => {
    setWarning(undefined)
    const note = (event: Event): void => {
      setWarning(String((event as CustomEvent<string>).detail))
    }
    addEventListener(warningEvent, note)
    return () => {
      removeEventListener(warningEvent, note)
    }
  }, [path])
  return (
    <div role="status">
      {warning !== undefined && (
        <p class="warn">
          {warning}. <a href="/">Damaged blocks</a>
        </p>
      )}
    </div>
  )
}

export function Shell({ children }: { children: ComponentChildren }) {
  const { path } = usePlace(),
    [theme, nextTheme] = useTheme(),
    [isOpen, setOpen] = useState(false)
  useEffect(() => {
    setOpen(false)
  }, [path])
  const isHere = (to: string): boolean =>
    to === '/'
      ? path === '/'
      : path === to || path.startsWith(`${to}/`) || (to === '/ui/traces' && path.startsWith('/ui/trace/'))
  return (
    <div class="frame">
      <a class="skip" href="#main">
        To the content
      </a>
      <nav class={`side ${isOpen ? 'open' : ''}`} aria-label="Pages">
        <div class="top">
          <a class="brand" href="/">
            <svg viewBox="0 0 32 32" aria-hidden="true">
              <rect width="32" height="32" rx="7" fill="#1f4fd8" />
              <path d="M7 10h18M7 16h13M7 22h16" stroke="#fff" stroke-width="3" stroke-linecap="round" />
            </svg>
            Tercet
          </a>
          <button
            class="menu"
            aria-expanded={isOpen}
            onClick={() => {
              setOpen(o => !o)
            }}
          >
            Menu
          </button>
        </div>
        <div class="rest">
          {pages.map(([title, list]) => (
            <div key={title}>
              {title !== '' && <h2>{title}</h2>}
              <ul>
                {list.map(([to, name]) => (
                  <li key={to}>
                    <a href={to} aria-current={isHere(to) ? 'page' : undefined}>
                      {name}
                    </a>
                  </li>
                ))}
              </ul>
            </div>
          ))}
          <Account />
          <p>
            <button onClick={nextTheme}>Theme: {theme}</button>
          </p>
        </div>
      </nav>
      <main id="main" tabIndex={-1}>
        <Incomplete path={path} />
        {children}
      </main>
    </div>
  )
}

/** Who looks, and at whose data. */
function Account() {
  const { data: who } = useLoad(whoami, [])
  if (who === undefined) return null
  return (
    <>
      {who.tenancy && <Tenant tenants={who.tenants} />}
      {who.name !== '' && (
        <p class="account">
          {who.name}
          {who.hasSession && (
            <>
              {' '}
              <button
                onClick={() => {
                  void signOut()
                }}
              >
                Sign out
              </button>
            </>
          )}
        </p>
      )}
    </>
  )
}

/** `tenants`: those that may be chosen; null: whoever looks may name any. Several are written `a|b`. */
function Tenant({ tenants }: { tenants: readonly string[] | null }) {
  const choose = (tenant: string): void => {
    remember('tenant', tenant.trim())
    location.reload()
  }
  const chosen = remembered('tenant', '')
  return (
    <p>
      <label>
        Tenant{' '}
        {tenants === null ? (
          <input
            size={12}
            value={chosen}
            onChange={e => {
              choose(e.currentTarget.value)
            }}
          />
        ) : (
          <select
            value={chosen}
            onChange={e => {
              choose(e.currentTarget.value)
            }}
          >
            {[...new Set(['', ...tenants, ...(tenants.length > 1 ? [tenants.join('|')] : [])])].map(tenant => (
              <option key={tenant} value={tenant}>
                {tenant === '' ? '\u2013' : tenant}
              </option>
            ))}
          </select>
        )}
      </label>
    </p>
  )
}

export function Head({ title, children }: { title: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Tercet`
  }, [title])
  return (
    <div class="head">
      <h1>{title}</h1>
      {children}
    </div>
  )
}

/** What a page says while it waits, when it failed, and when there is nothing. */
export function Status({
  error,
  isLoading,
  isEmpty,
  empty,
}: {
  error: string | undefined
  isLoading: boolean
  isEmpty?: boolean
  empty?: string
}) {
  return (
    <div aria-live="polite">
      {error !== undefined && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {error === undefined && isLoading && isEmpty !== false && <p class="empty pulse">Loading…</p>}
      {error === undefined && !isLoading && isEmpty === true && <p class="empty">{empty ?? 'Nothing here.'}</p>}
    </div>
  )
}
