/** Which values of a file sops encrypts, and for whom: as a rule, and as the metadata at the end of a sealed file. */
import type { Document } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { compileRe2 } from '#lang/regex/regex.ts'

/**
 * Which values are encrypted, for whom. Exactly one of the four rules, or none: all but what ends in `_unencrypted`.
 */
export interface SealRule {
  encryptedRegex?: string
  unencryptedRegex?: string
  encryptedSuffix?: string
  unencryptedSuffix?: string
  macOnlyEncrypted: boolean
  /** `age1...`. */
  recipients: readonly string[]
}

/** What Flux wants: apiVersion, kind and metadata in clear. */
export const secretRule = (recipients: readonly string[]): SealRule => ({
  encryptedRegex: '^(data|stringData)$',
  macOnlyEncrypted: true,
  recipients,
})

/** By the keys from the top of the file. */
export type IsEncrypted = (path: readonly string[]) => boolean

/** Compiled once, for every value of a file. */
export function ruleTest(rule: SealRule): IsEncrypted {
  const { encryptedRegex, unencryptedRegex, encryptedSuffix, unencryptedSuffix = '_unencrypted' } = rule
  if (encryptedRegex !== undefined) {
    const regex = compileRe2(encryptedRegex)
    return path => path.some(part => regex.test(part))
  }
  if (unencryptedRegex !== undefined) {
    const regex = compileRe2(unencryptedRegex)
    return path => !path.some(part => regex.test(part))
  }
  if (encryptedSuffix !== undefined) return path => path.some(part => part.endsWith(encryptedSuffix))
  return path => !path.some(part => part.endsWith(unencryptedSuffix))
}

/** The metadata of a rule, as it stands in a file. */
export function ruleFields(rule: SealRule): Record<string, unknown> {
  return {
    ...(rule.encryptedRegex !== undefined
      ? { encrypted_regex: rule.encryptedRegex }
      : rule.unencryptedRegex !== undefined
        ? { unencrypted_regex: rule.unencryptedRegex }
        : rule.encryptedSuffix !== undefined
          ? { encrypted_suffix: rule.encryptedSuffix }
          : { unencrypted_suffix: rule.unencryptedSuffix ?? '_unencrypted' }),
    ...(rule.macOnlyEncrypted ? { mac_only_encrypted: true } : {}),
  }
}

/** What stands under `sops` at the end of a sealed file, unchecked. */
export interface Metadata {
  age?: { recipient?: unknown; enc?: unknown }[]
  lastmodified?: unknown
  mac?: unknown
  mac_only_encrypted?: unknown
  encrypted_regex?: unknown
  unencrypted_regex?: unknown
  encrypted_suffix?: unknown
  unencrypted_suffix?: unknown
  encrypted_comment_regex?: unknown
  unencrypted_comment_regex?: unknown
  version?: unknown
}

/** Undefined where the file is not sealed. */
export function metadataOf(document: Document): Metadata | undefined {
  const metadata = (document.toJS() as { sops?: unknown } | null)?.sops
  return typeof metadata === 'object' && metadata !== null ? metadata : undefined
}

/** Throws BadDataError for a rule that is not supported. */
export function ruleOf(metadata: Metadata): SealRule {
  if (metadata.encrypted_comment_regex !== undefined || metadata.unencrypted_comment_regex !== undefined)
    throw new BadDataError('sealed by a rule on comments, which is not supported; seal it again with encrypted_regex')
  const field = (
    name: 'encrypted_regex' | 'unencrypted_regex' | 'encrypted_suffix' | 'unencrypted_suffix',
  ): string | undefined => {
    const value = metadata[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const encryptedRegex = field('encrypted_regex')
  const unencryptedRegex = field('unencrypted_regex')
  const encryptedSuffix = field('encrypted_suffix')
  const unencryptedSuffix = field('unencrypted_suffix')
  return {
    ...(encryptedRegex === undefined ? {} : { encryptedRegex }),
    ...(unencryptedRegex === undefined ? {} : { unencryptedRegex }),
    ...(encryptedSuffix === undefined ? {} : { encryptedSuffix }),
    ...(unencryptedSuffix === undefined ? {} : { unencryptedSuffix }),
    macOnlyEncrypted: metadata.mac_only_encrypted === true,
    recipients: (metadata.age ?? []).map(a => String(a.recipient)),
  }
}
