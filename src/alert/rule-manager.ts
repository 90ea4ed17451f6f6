/** All groups of all files; a reload changes only what is different. */
import type { GroupSettings } from './rules-file.ts'
import { RuleGroup, type GroupWorld } from './group.ts'

/** The running groups of rules, by file and name. */
export class RuleManager {
  #groups = new Map<string, { group: RuleGroup; text: string }>()

  get groups(): RuleGroup[] {
    return [...this.#groups.values()].map(g => g.group)
  }

  async apply(groups: readonly GroupSettings[], world: GroupWorld): Promise<void> {
    const before = this.#groups
    const after: typeof before = new Map()
    const worldText = JSON.stringify([world.intervalMs, world.queryOffsetMs, world.externalLabels, world.externalUrl])
    const fresh: RuleGroup[] = []
    for (const settings of groups) {
      const key = `${settings.file};${settings.name}`
      const text = JSON.stringify([settings, worldText])
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
    for (const [key, { group }] of before) {
      const now = after.get(key)
      if (now?.group === group) continue
      await group.stop(false)
      now?.group.adopt(group)
      // What the new group did not take over ends.
      await group.stop(true)
    }
    for (const group of fresh) group.start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.groups.map(group => group.stop(false)))
  }
}
