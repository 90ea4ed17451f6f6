/** What pages share: answers that come later, ticks, what the browser remembers. */
import { useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  data: T | undefined
  error: string | undefined
  isLoading: boolean
}

/**
 * Asks whenever `keys` change; an answer that was overtaken is dropped. The last one stays to be seen until the next
 * comes.
 */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({ data: undefined, error: undefined, isLoading: true })
  useEffect(() => {
    const control = new AbortController()
    setState(before => ({ ...before, isLoading: true }))
    load(control.signal).then(
      data => {
        if (!control.signal.aborted) setState({ data, error: undefined, isLoading: false })
      },
      (error: unknown) => {
        if (!control.signal.aborted)
          setState(before => ({
            ...before,
            error: error instanceof Error ? error.message : String(error),
            isLoading: false,
          }))
      },
    )
    return () => {
      control.abort()
    }
  }, keys as unknown[])
  return state
}

/** Counts up every so many seconds while the page is seen; 0: never. */
export function useTick(seconds: number): number {
  const [tick, setTick] = useState(0)
  useEffect(() => {
    if (seconds === 0) return undefined
    const timer = setInterval(() => {
      if (!document.hidden) setTick(t => t + 1)
    }, seconds * 1000)
    return () => {
      clearInterval(timer)
    }
  }, [seconds])
  return tick
}

export function remembered<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(`tercet.${key}`)
    return text === null ? fallback : (JSON.parse(text) as T)
  } catch {
    return fallback
  }
}
export function remember(key: string, value: unknown): void {
  try {
    localStorage.setItem(`tercet.${key}`, JSON.stringify(value))
  } catch {
    /* no room, or not allowed */
  }
}

/** Width of an element as it changes. */
export function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const ref = useRef<HTMLDivElement | null>(null),
    [width, setWidth] = useState(0)
  useEffect(() => {
    const element = ref.current
    if (element === null) return undefined
    setWidth(element.clientWidth)
    const observer = new ResizeObserver(() => {
      setWidth(element.clientWidth)
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
    }
  }, [])
  return [ref, width]
}

/** A value that has rested for a while. */
export function useRested<T>(value: T, ms: number): T {
  const [rested, setRested] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => {
      setRested(value)
    }, ms)
    return () => {
      clearTimeout(timer)
    }
  }, [value, ms])
  return rested
}
