/** The variables of a dashboard: their values, and where they are chosen. */
import { useEffect, useState } from 'preact/hooks'
import { chosenOf, valuesOf, type Dashboard, type Values, type Variable } from '../grafana.ts'
import { go, usePlace, withParams } from '../router.ts'

interface Variables {
  /** Those that have values to choose from. */
  list: readonly Variable[]
  /** What each stands for now; empty until all are known. */
  values: Values
  /** What each can be; at most 2,000. */
  choices: Readonly<Record<string, readonly string[]>>
  error: string | undefined
  isReady: boolean
}

export function useVariables(dashboard: Dashboard): Variables {
  const { params } = usePlace(),
    list = (dashboard.templating?.list ?? []).filter(v => v.type !== 'datasource' && v.type !== 'adhoc')
  const [values, setValues] = useState<Values>({}),
    [choices, setChoices] = useState<Record<string, string[]>>({}),
    [error, setError] = useState<string | undefined>(undefined)
  useEffect(() => {
    const control = new AbortController()
    void (async () => {
      // One after the other: a later one may name an earlier one.
      const found: Record<string, readonly string[]> = {},
        all: Record<string, string[]> = {}
      for (const variable of list) {
        let known: string[] = []
        try {
          known = (await valuesOf(variable, found, control.signal)).slice(0, 2000)
        } catch (reason) {
          if (control.signal.aborted) return
          setError(`${variable.name}: ${reason instanceof Error ? reason.message : String(reason)}`)
        }
        all[variable.name] = known
        found[variable.name] = chosenOf(variable, known, params.getAll(`var-${variable.name}`))
      }
      if (control.signal.aborted) return
      setChoices(all)
      setValues(found)
    })()
    return () => {
      control.abort()
    }
  }, [params.toString(), dashboard])
  return { list, values, choices, error, isReady: list.every(v => values[v.name] !== undefined) }
}

export function VariableBar({ list, values, choices }: Variables) {
  const shown = list.filter(v => v.hide !== 2)
  if (shown.length === 0) return null
  return (
    <div class="row">
      {shown.map(v => (
        <label key={v.name}>
          {v.label ?? v.name}{' '}
          {v.type === 'textbox' ? (
            <input
              value={values[v.name]?.[0] ?? ''}
              onChange={e => {
                go(withParams({ [`var-${v.name}`]: e.currentTarget.value }))
              }}
            />
          ) : (
            <VariableChoice variable={v} value={values[v.name] ?? []} choices={choices[v.name] ?? []} />
          )}
        </label>
      ))}
    </div>
  )
}

interface VariableChoiceProps {
  variable: Variable
  value: readonly string[]
  choices: readonly string[]
}

function VariableChoice({ variable, value, choices }: VariableChoiceProps) {
  const { params } = usePlace(),
    isAll = variable.includeAll === true && value.length !== 1
  return (
    <select
      value={params.get(`var-${variable.name}`) ?? (isAll ? '$__all' : (value[0] ?? ''))}
      onChange={e => {
        go(withParams({ [`var-${variable.name}`]: e.currentTarget.value }))
      }}
    >
      {variable.includeAll === true && <option value="$__all">All</option>}
      {choices.map(c => (
        <option key={c} value={c}>
          {c}
        </option>
      ))}
    </select>
  )
}
