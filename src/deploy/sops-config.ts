/** .sops.yaml: which files are sealed by which rule. */
import { parseDocument } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { ruleOf, type SealRule } from './sops-rule.ts'

/** A rule for files whose path fits. */
export interface CreationRule {
  pathRegex: string
  rule: SealRule
}

/** A .sops.yaml for a rendered tree below `root`. */
export function sopsConfigText(recipients: readonly string[], root: string): string {
  return `# Which files sops, and tercet deploy seal, encrypt, and for whom.
creation_rules:
  - path_regex: ${root.replace(/\/+$/, '').split('/').at(0) ?? 'kubernetes'}/.*\\.sops\\.ya?ml$
    encrypted_regex: ^(data|stringData)$
    mac_only_encrypted: true
    age: ${JSON.stringify(recipients.join(','))}
stores:
  yaml:
    indent: 2
`
}

/** Throws BadDataError. */
export function readSopsConfig(text: string): CreationRule[] {
  const document = parseDocument(text)
  const [error] = document.errors
  if (error !== undefined) throw new BadDataError(`.sops.yaml: ${error.message}`)
  const rules = (document.toJS() as { creation_rules?: unknown } | null)?.creation_rules
  if (!Array.isArray(rules)) throw new BadDataError('.sops.yaml: creation_rules is not there')
  return rules.map((value: Record<string, unknown>, i) => readRule(value, `.sops.yaml: creation_rules[${i}]`))
}

const ruleNames = ['encrypted_regex', 'unencrypted_regex', 'encrypted_suffix', 'unencrypted_suffix'] as const

function readRule(value: Readonly<Record<string, unknown>>, place: string): CreationRule {
  const recipients = recipientsOf(value)
  if (recipients.length === 0) throw new BadDataError(`${place} names no age recipient`)
  const textOf = (name: string): string | undefined => {
    const field = value[name]
    return typeof field === 'string' ? field : undefined
  }
  const given = ruleNames.filter(name => textOf(name) !== undefined)
  if (given.length > 1) throw new BadDataError(`${place} has ${given.join(' and ')}; one of them was expected`)
  const rule = ruleOf({
    ...Object.fromEntries(given.map(name => [name, textOf(name)])),
    mac_only_encrypted: value['mac_only_encrypted'],
  })
  return { pathRegex: textOf('path_regex') ?? '', rule: { ...rule, recipients } }
}

/** `age: age1...,age1...`, a list of them, and those of key groups. */
function recipientsOf(value: Readonly<Record<string, unknown>>): string[] {
  const { age, key_groups: groups } = value
  const own =
    typeof age === 'string' ? age.split(',').map(recipient => recipient.trim()) : Array.isArray(age) ? age : []
  const grouped = Array.isArray(groups) ? (groups as { age?: string[] }[]).flatMap(group => group.age ?? []) : []
  return [...own.map(String).filter(recipient => recipient !== ''), ...grouped]
}

/** Of the first rule that fits. */
export function ruleForPath(rules: readonly CreationRule[], path: string): SealRule | undefined {
  return rules.find(r => compileRe2(r.pathRegex).test(path))?.rule
}
