/** The address bar is the state: a path for the page, parameters for the whole view. */
import { useEffect, useState } from 'preact/hooks'

export interface Place {
  path: string
  params: URLSearchParams
}

const listeners = new Set<() => void>()
const here = (): Place => ({ path: location.pathname, params: new URLSearchParams(location.search) })

/** `replace`: no new entry in the history, for changes that nobody would go back over. */
export function go(url: string, replace = false): void {
  if (url === location.pathname + location.search) return
  if (replace) history.replaceState(null, '', url)
  else history.pushState(null, '', url)
  for (const listener of listeners) listener()
}

/** The same page with some parameters changed; empty ones go. */
export function withParams(change: Record<string, string | undefined>): string {
  const params = new URLSearchParams(location.search)
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined || value === '') params.delete(name)
    else params.set(name, value)
  }
  const text = params.toString()
  return `${location.pathname}${text === '' ? '' : `?${text}`}`
}

export function linkTo(path: string, params: Record<string, string | undefined>): string {
  const text = new URLSearchParams(
    Object.entries(params).filter((p): p is [string, string] => p[1] !== undefined && p[1] !== ''),
  ).toString()
  return text === '' ? path : `${path}?${text}`
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here)
  useEffect(() => {
    const look = (): void => {
      setPlace(here())
    }
    listeners.add(look)
    addEventListener('popstate', look)
    return () => {
      listeners.delete(look)
      removeEventListener('popstate', look)
    }
  }, [])
  return place
}

/** Links stay in the program; with a modifier, or to elsewhere, the browser does as always. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return
  const link = (event.target as Element | null)?.closest('a')
  if (
    link === null ||
    link === undefined ||
    link.target !== '' ||
    link.origin !== location.origin ||
    link.hasAttribute('download') ||
    !(link.pathname === '/' || link.pathname.startsWith('/ui/'))
  )
    return
  event.preventDefault()
  go(link.pathname + link.search)
  document.getElementById('main')?.focus()
}
