/**
 * Regular expressions in label filters, as Loki simplifies them: some shapes of literals lose their anchors.
 * Everything else is anchored at both ends. Source: docs/logs.md.
 */
import { compileAnchored } from '#lang/regex/regex.ts'

const meta = /[\\^$.|?*+()[\]{}]/

/** Does a label value match? Throws BadRegexError. */
export function compileLabelRegex(source: string): (value: string) => boolean {
  let body = source
  let fold = (text: string): string => text
  if (body.startsWith('(?i)')) {
    body = body.slice(4)
    fold = text => text.toLowerCase()
  }
  body = unwrapGroup(body)
  if (body === '' || body === '.*') return () => true
  if (body === '.+') return value => value !== ''
  const parts = body.split('|')
  const shapes = parts.map(part => {
    const [, before, literal = '', after] = /^(\.\*)?([\s\S]*?)(\.\*)?$/.exec(part) ?? []
    if (meta.test(literal) || literal === '') return undefined
    return { literal: fold(literal), isOpen: before !== undefined || after !== undefined }
  })
  if (shapes.every(shape => shape !== undefined)) {
    if (shapes.some(shape => shape.isOpen)) {
      const closed = shapes.filter(s => !s.isOpen).map(s => s.literal)
      const open = shapes.filter(s => s.isOpen).map(s => s.literal)
      return value => {
        const text = fold(value)
        return closed.includes(text) || open.some(literal => text.includes(literal))
      }
    }
    const literals = shapes.map(s => s.literal)
    const shared = sharedPrefixes(literals)
    if (shared === 'none' && body === source) return value => literals.includes(value)
    if (shared === 'factored')
      return value => {
        const text = fold(value)
        return literals.some(literal => text.includes(literal))
      }
  }
  const regex = compileAnchored(source)
  return value => regex.test(value)
}

/** `(a|b)` and `(?:a|b)` are what is in them. */
function unwrapGroup(body: string): string {
  const match = /^\((?:\?:)?([^()]*)\)$/.exec(body)
  return match === null ? body : match[1]!
}

/** What becomes of neighbours that begin alike: a common prefix is taken out, unless only a character class remains. */
function sharedPrefixes(literals: readonly string[]): 'none' | 'factored' | 'class' {
  let result: 'none' | 'factored' | 'class' = 'none'
  for (let i = 0; i + 1 < literals.length; i++) {
    const a = literals[i]!
    const b = literals[i + 1]!
    let n = 0
    while (n < a.length && n < b.length && a[n] === b[n]) n++
    if (n === 0) {
      if (a.length === 1 && b.length === 1) result = 'class'
      continue
    }
    if (a.length === n + 1 && b.length === n + 1) return 'class'
    if (result === 'none') result = 'factored'
  }
  return result
}

/** A group that only takes in: what is in it counts. */
const capture = /^\((?:\?(?::|P?<\w+>))?([^()]*)\)$/
/** Texts, with characters that are escaped, and what may stand open at their ends. */
const openLiteral = /^(?:\.\+|(?:\.\*)?(?:[^\\^$.|?*+()[\]{}]|\\[\\^$.|?*+()[\]{}])*(?:\.\*)?)$/

/** Is it a comparison of texts to Loki? It prints the others in backquotes. */
export function isSimpleLabelRegex(source: string): boolean {
  const body = source.replace(/^\(\?i\)/, '').replace(capture, '$1')
  const parts = body.split('|')
  return parts.every(part => openLiteral.test(part)) && sharedPrefixes(parts) !== 'class'
}
