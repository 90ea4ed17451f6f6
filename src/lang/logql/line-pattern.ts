/** Patterns like `<ip> - <_> "<method> <path>"`: literals with captures between. Source: docs/logs.md. */

export interface PatternPart {
  /** Undefined: a literal. '_': discarded. */ capture: string | undefined
  literal: string
}

/**
 * `use`: the parser stage needs a named capture and takes each once; the line filter takes no named one. Throws Error
 * with the reason.
 */
export function parsePattern(text: string, use: 'parser' | 'filter'): PatternPart[] {
  if (use === 'parser' && text === '')
    throw new Error('parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL')
  const parts: PatternPart[] = []
  let at = 0
  let literal = ''
  const flush = (): void => {
    if (literal !== '') parts.push({ capture: undefined, literal })
    literal = ''
  }
  while (at < text.length) {
    const capture = text[at] === '<' ? /^<([A-Za-z_][A-Za-z0-9_]*)>/.exec(text.slice(at, at + 300)) : null
    if (capture === null) {
      literal += text[at++]
      continue
    }
    flush()
    if (parts.at(-1)?.capture !== undefined)
      throw new Error(`found consecutive capture '<${parts.at(-1)!.capture}>${capture[0]}': invalid expression`)
    parts.push({ capture: capture[1]!, literal: '' })
    at += capture[0].length
  }
  flush()
  const names = parts.map(p => p.capture).filter(name => name !== undefined && name !== '_')
  if (use === 'filter' && names.length > 0) throw new Error(`named captures are not allowed: found '<${names[0]}>'`)
  if (use === 'parser') {
    if (names.length === 0) throw new Error('at least one capture is required')
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) throw new Error(`duplicate capture name (${twice}): invalid expression`)
  }
  return parts
}
