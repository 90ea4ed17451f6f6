/** How Loki writes names of structured metadata. Source: docs/logs.md. */
import { BadDataError } from '#core/errors.ts'
import { quote } from '#core/text.ts'

const memo = new Map<string, string>()

/**
 * Anything but letters, digits and `_` becomes `_`, several in a row one; `__name__` stays; a leading digit gets
 * `key_`. Throws BadDataError for names of which nothing is left.
 */
export function normalizeMetadataName(name: string): string {
  const known = memo.get(name)
  if (known !== undefined) return known
  if (name === '') throw new BadDataError('label name is empty')
  const reserved = /^__[A-Za-z0-9_]*[A-Za-z0-9][A-Za-z0-9_]*__$/.test(name)
  let text = reserved ? name : name.replaceAll(/[^A-Za-z0-9_]/gu, '_').replaceAll(/_{2,}/g, '_')
  if (/^[0-9]/.test(text)) text = `key_${text}`
  if (/^_*$/.test(text))
    throw new BadDataError(`normalization for label name ${quote(name)} resulted in invalid name ${quote(text)}`)
  if (memo.size < 10_000) memo.set(name, text)
  return text
}
