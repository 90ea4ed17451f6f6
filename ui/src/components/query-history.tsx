/** Queries that were run in this browser, by language; the newest first. */
import { useState } from 'preact/hooks'
import { remember, remembered } from '../hooks.ts'

const most = 30

export interface QueryHistory {
  past: readonly string[]
  add: (query: string) => void
}

export function useQueryHistory(language: 'promql' | 'logql' | 'traceql'): QueryHistory {
  const [past, setPast] = useState<string[]>(() => remembered(`history.${language}`, []))
  return {
    past,
    add(query) {
      if (query === '') return
      const next = [query, ...past.filter(p => p !== query)].slice(0, most)
      setPast(next)
      remember(`history.${language}`, next)
    },
  }
}

export function HistoryPicker({ past, onRun }: { past: readonly string[]; onRun: (query: string) => void }) {
  return (
    <label>
      History{' '}
      <select
        aria-label="History"
        value=""
        onChange={e => {
          if (e.currentTarget.value !== '') onRun(e.currentTarget.value)
        }}
      >
        <option value="">{past.length} queries</option>
        {past.map(p => (
          <option key={p} value={p}>
            {p.slice(0, 80)}
          </option>
        ))}
      </select>
    </label>
  )
}
