/** Signatures of functions in few words, with the types that their arguments have here. */
import type { GoTime } from './go-time-value.ts'
import type { GoFunction, GoInt, GoValue } from './values.ts'

/** By Go's name of a type, what a value of it is here. */
interface Types {
  string: string
  int: GoInt
  float64: number
  bool: boolean
  'time.Time': GoTime
  'interface {}': GoValue
  'reflect.Value': GoValue
  '[]string': readonly string[]
  '[]interface {}': readonly GoValue[]
  'template.queryResult': readonly GoValue[]
  '*template.sample': ReadonlyMap<string, GoValue> | null
}
export type GoType = keyof Types
type Values<Parameters extends readonly GoType[]> = { [I in keyof Parameters]: Types[Parameters[I]] }

/** A function of as many arguments as it has parameters. */
export function typed<const Parameters extends readonly GoType[]>(
  parameters: Parameters,
  run: (...args: Values<Parameters>) => GoValue,
): GoFunction {
  return { parameters, rest: undefined, run: run as unknown as GoFunction['run'] }
}

/** A function that takes any number of further arguments of the type `rest`. */
export function variadic<const Parameters extends readonly GoType[], Rest extends GoType>(
  parameters: Parameters,
  rest: Rest,
  run: (...args: [...Values<Parameters>, ...Types[Rest][]]) => GoValue,
): GoFunction {
  return { parameters, rest, run: run as unknown as GoFunction['run'] }
}
