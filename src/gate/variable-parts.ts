/**
 * Texts without what differs from one run to the next: numbers, times, ids and addresses in messages and names,
 * literals in statements. Two texts that say the same are one text then.
 */

/** Longer texts are cut before anything looks for parts in them. */
const charactersMax = 1000
const statementCharactersMax = 4000

const variableParts: readonly (readonly [RegExp, string])[] = [
  [/\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?/g, '<time>'],
  [/\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b/g, '<time>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, '<address>'],
  [/\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?\b/g, '<address>'],
  [/\[[0-9a-f]*:[0-9a-f:]+\](?::\d+)?|(?<![\w:])(?:::1|::ffff:[\d.]+)(?::\d+)?/gi, '<address>'],
  [/\b0x[0-9a-f]+\b/gi, '<id>'],
  [/\b(?=[a-f]*\d)[0-9a-f]{8,}\b/gi, '<id>'],
  [/\b(?=[a-z_]*\d)[0-9a-z_]{16,}\b/gi, '<id>'],
  [/\d+(?:[.,]\d+)*(?:(?:ns|us|µs|ms|s|m|h|B|[KMGT]i?B)\b|%)?/g, '<n>'],
]

/** `GET /users/<n>`, `no answer from <address> within <n>`; blanks and breaks of lines are one blank. */
export function withoutVariables(text: string): string {
  let shape = text.length > charactersMax ? text.slice(0, charactersMax) : text
  for (const [part, instead] of variableParts) shape = shape.replace(part, instead)
  return shape.replace(/\s+/g, ' ').trim()
}

/** `jobs_of_<n>_total`: parts of the name of a metric that are numbers or ids. */
export function metricShape(name: string): string {
  return name
    .split(/(?<=[_.:-])|(?=[_.:-])/)
    .map(part => (/^(?:\d+|(?=[a-f]*\d)[0-9a-f]{8,})$/i.test(part) ? '<n>' : part))
    .join('')
}

/** Is the text an id, a number, or has it one? */
export function isVariable(text: string): boolean {
  return /\d/.test(text) && withoutVariables(text) !== text
}

const literals: readonly (readonly [RegExp, string])[] = [
  [/'(?:[^'\\]|''|\\.)*'/g, '?'],
  [/(?<=:\s*)"(?:[^"\\]|\\.)*"/g, '?'],
  [/\$\d+|@p\d+|(?<![:\w]):[a-z_]\w*/gi, '?'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '?'],
  [/(?<![\w?])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/gi, '?'],
  [/\(\s*\?(?:\s*,\s*\?)*\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*/g, '(?)'],
]

/** `SELECT * FROM users WHERE id IN (?)`: literals and parameters are one sign, and lists of them too. */
export function statementShape(statement: string): string {
  let shape = statement.length > statementCharactersMax ? statement.slice(0, statementCharactersMax) : statement
  for (const [literal, instead] of literals) shape = shape.replace(literal, instead)
  return shape.replace(/\s+/g, ' ').trim()
}
