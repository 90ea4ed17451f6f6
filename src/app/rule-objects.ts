/** Groups of rules in the bucket, in the form and at the place of the rulers of Loki and Cortex. */
import type { Bucket } from '#bucket/bucket.ts'
import { CorruptDataError, NotFoundError } from '#core/errors.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { StoredGroups } from '#alert/ruler.ts'
import type { StoredGroup } from '#model/rule-group.ts'
import { decodeRuleGroup, encodeRuleGroup, parseRuleGroupKey, ruleGroupKey } from '#wire/ruler/rule-group.ts'

const readsAtOnce = 8

/** Groups below a prefix, which ends in `/`. */
export class RuleObjects implements StoredGroups {
  readonly #bucket: Bucket
  readonly #prefix: string

  constructor(bucket: Bucket, prefix: string) {
    this.#bucket = bucket
    this.#prefix = prefix
  }

  async list(onProblem: (place: string, error: unknown) => void): Promise<StoredGroup[]> {
    const groups: StoredGroup[] = []
    const objects = await this.#bucket.list(this.#prefix)
    await forEachParallel(objects, readsAtOnce, async ({ key }) => {
      const named = parseRuleGroupKey(key.slice(this.#prefix.length))
      if (named === undefined) return
      try {
        // The key says whose it is: the object of a moved group may still name another tenant.
        groups.push({ ...decodeRuleGroup(await this.#bucket.get(key)), ...named })
      } catch (error) {
        if (error instanceof NotFoundError) return
        if (!(error instanceof CorruptDataError)) throw error
        onProblem(key, error)
      }
    })
    return groups
  }

  put(group: StoredGroup): Promise<void> {
    return this.#bucket.put(this.#keyOf(group.tenant, group.namespace, group.name), encodeRuleGroup(group))
  }

  remove(tenant: string, namespace: string, name: string): Promise<void> {
    return this.#bucket.delete(this.#keyOf(tenant, namespace, name))
  }

  #keyOf(tenant: string, namespace: string, name: string): string {
    return this.#prefix + ruleGroupKey(tenant, namespace, name)
  }
}
