/** Numbers of a running process, out of its /metrics: `name{labels}` to value. */

export type Numbers = ReadonlyMap<string, number>

/** Comments are left out; an exemplar or a time behind a value is not expected. */
export function readExposition(text: string): Numbers {
  const found = new Map<string, number>()
  for (const line of text.split('\n'))
    if (line !== '' && !line.startsWith('#')) {
      const at = line.lastIndexOf(' ')
      found.set(line.slice(0, at), Number(line.slice(at + 1)))
    }
  return found
}

/** A metric's series added up. */
export function sumOf(numbers: Numbers, name: string): number {
  let all = 0
  for (const [key, value] of numbers) if (key === name || key.startsWith(`${name}{`)) all += value
  return all
}
