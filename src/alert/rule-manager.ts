/** All groups of all files; a reload changes only what is different. */
import { RuleGroup, type GroupWorld } from './group.ts'
import type { GroupSettings } from './rules-file.ts'

/** What a group is known by, whatever its rules. One that goes to another tenant ends, and begins there. */
function identityOf({ owner, file, name }: GroupSettings, tenant: string): string {
  return JSON.stringify([owner?.api ?? '', owner?.tenant ?? tenant, file, name])
}

/** The running groups of rules, by owner, file and name. */
export class RuleManager {
  #groups = new Map<string, { group: RuleGroup; text: string }>()

  get groups(): RuleGroup[] {
    return [...this.#groups.values()].map(g => g.group)
  }

  /** `worldOf` gives what a group evaluates with and writes to. */
  async apply(groups: readonly GroupSettings[], worldOf: (group: GroupSettings) => GroupWorld): Promise<void> {
    const before = this.#groups
    const after: typeof before = new Map()
    const fresh: RuleGroup[] = []
    for (const settings of groups) {
      const world = worldOf(settings)
      const key = identityOf(settings, world.tenant)
      const { intervalMs, queryOffsetMs, externalLabels, externalUrl } = world
      const text = JSON.stringify([settings, intervalMs, queryOffsetMs, externalLabels, externalUrl])
      const old = before.get(key)
      if (old?.text === text) {
        after.set(key, old)
        continue
      }
      const group = new RuleGroup(settings, world)
      after.set(key, { group, text })
      fresh.push(group)
    }
    this.#groups = after
    // Each of them may wait for the log.
    const ended = [...before].filter(([key, { group }]) => after.get(key)?.group !== group)
    await Promise.all(ended.map(([, { group }]) => group.stop(false)))
    for (const [key, { group }] of ended) after.get(key)?.group.adopt(group)
    // What the new groups did not take over ends.
    await Promise.all(ended.map(([, { group }]) => group.stop(true)))
    for (const group of fresh) group.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.groups.map(group => group.stop(false)))
  }
}
