/** JSON as VictoriaLogs writes it into fields: also safe within HTML. */

const escaped = /[<']|\\[bf]|\\\\/g
const forms: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  "'": '\\u0027',
  '\\b': '\\u0008',
  '\\f': '\\u000c',
}

/** ASCII of which nothing is escaped: all but quotes, apostrophes, less-than signs, backslashes and controls. */
const plain = /^[ !#-&(-;=-[\]-~]*$/

export function shownJson(value: unknown): string {
  if (typeof value === 'string' && plain.test(value)) return `"${value}"`
  return JSON.stringify(value).replaceAll(escaped, text => forms[text] ?? text)
}
