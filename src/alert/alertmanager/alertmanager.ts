/**
 * An Alertmanager: takes alerts, groups them by routes, withholds silenced, inhibited and muted ones, notifies
 * receivers, and logs its notifications. Source of the rules: Alertmanager's public documentation.
 */
import { basename, dirname, join } from 'node:path'
import { backoffMs, Pauses } from '#core/backoff.ts'
import { Repeater, sleep, type Clock, type Timer } from '#core/clock.ts'
import { BadDataError, messageOf, NotFoundError, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { AlertLimits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import { KnownSecrets, type Secret } from '#core/secret.ts'
import { yieldEvery } from '#core/yield.ts'
import type { HttpClientSettings } from '#lang/settings/http-client.ts'
import { Labels } from '#model/labels.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { Mail } from '#net/mail.ts'
import { labelText } from '../alert.ts'
import type { AlertmanagerConfig, Integration, ReceiverSettings, RouteSettings } from './config.ts'
import { Inhibition } from './inhibition.ts'
import { sendNotification } from './integrations.ts'
import { routesOf, valuesFor, type ValueOf } from './routing.ts'
import type { RoomShare, SharedRoom } from './shared-room.ts'
import { Silencing } from './silencing.ts'
import { AlertmanagerState, fingerprintOf, type ManagedAlert, type Silence } from './store.ts'
import { Templates } from './template-data.ts'
import { isWithin } from './time-intervals.ts'

export interface StateBackup {
  read(): Promise<Uint8Array | undefined>
  write(bytes: Uint8Array): Promise<void>
  remove(): Promise<void>
}

/** What an Alertmanager reaches the world with. */
export interface AlertmanagerWorld {
  clock: Clock
  random: Random
  log: Log
  files: Files
  /** The file of silences and of the log of notifications. */
  statePath: string
  /** A copy of the state outside this disk; read when the disk has none. */
  backup: StateBackup | undefined
  externalUrl: string
  client: (settings: HttpClientSettings) => HttpClient
  readSecret: (file: string) => Promise<string>
  mail: (mail: Mail) => Promise<void>
  limits: AlertLimits
  /** With tenancy, whose alerts and silences these are. */
  tenant: string | undefined
  rooms: AlertRooms
}

/** What the Alertmanagers of all tenants may hold together. */
export interface AlertRooms {
  alerts: SharedRoom
  /** Of all alerts. */
  characters: SharedRoom
  silences: SharedRoom
}

/** An alert as a client sends it. Times are milliseconds since the epoch; without an end it lasts `resolve_timeout`. */
export interface IncomingAlert {
  labels: Labels
  annotations: Labels
  startsMs: number | undefined
  endsMs: number | undefined
  generatorUrl: string
}
/** Whether receivers are notified of an alert; ids of silences, fingerprints of alerts, names of intervals. */
export type AlertStatus = {
  state: 'unprocessed' | 'active' | 'suppressed'
  silencedBy: string[]
  inhibitedBy: string[]
  mutedBy: string[]
}

interface AlertGroup {
  key: string
  route: RouteSettings
  labels: Labels
  alerts: Map<string, ManagedAlert>
  timer: Timer | undefined
  hasFlushed: boolean
  isFlushing: boolean
}

/** What became of alerts that were sent. */
export interface Received {
  refused: number
  /** Why, one text each for the first of them. */
  problems: string[]
  /** Some were too many: sending them later may help. */
  passes: boolean
}

/** Refused alerts of a request that are named. */
const problemsMax = 50
/** Alerts that are taken in between two pauses. */
const receivedAtOnce = 64
/** Resolved alerts are forgotten after this time. */
const alertGcMs = 1_800_000
const retryPause = { leastMs: 500, mostMs: 60_000 }
const backupEveryMs = 60_000
/** So long a start waits for the copy in the bucket. */
const backupWaitMs = 3000

/** One instance with its alerts, groups and state; `open` reads the state, `stop` waits for notifications under way. */
export class Alertmanager {
  readonly #world: AlertmanagerWorld
  readonly #alerts = new Map<string, ManagedAlert>()
  readonly #groups = new Map<string, AlertGroup>()
  readonly #state: AlertmanagerState
  readonly #silencing: Silencing
  /** Characters of all alerts. */
  #alertCharacters = 0
  readonly #valueOf: ValueOf
  readonly #shares: Readonly<Record<keyof AlertRooms, RoomShare>>
  #inhibition: Inhibition
  readonly #pause: () => Promise<void>
  #config: AlertmanagerConfig
  #templates: Templates
  readonly #clients = new Map<Integration, HttpClient>()
  #saving: Promise<void> = Promise.resolve()
  #isChanged = false
  /** The file on this disk was not there, or was damaged, and its copy has not been read yet. */
  #isBackupWanted = false
  #maintenance: Repeater | undefined
  #stopped = false
  readonly #flushes = new Set<Promise<void>>()
  readonly #pauses: Pauses
  notifications = 0
  failures = 0

  constructor(config: AlertmanagerConfig, templates: Templates, world: AlertmanagerWorld) {
    this.#world = world
    this.#pauses = new Pauses(world.clock)
    this.#config = config
    this.#templates = templates
    this.#state = new AlertmanagerState(world.random)
    this.#silencing = new Silencing(this.#state.silences)
    this.#valueOf = valuesFor(world.tenant)
    this.#shares = {
      alerts: world.rooms.alerts.share(),
      characters: world.rooms.characters.share(),
      silences: world.rooms.silences.share(),
    }
    this.#inhibition = new Inhibition(config.inhibitRules, [], this.#valueOf)
    this.#pause = yieldEvery(world.clock)
  }

  get config(): AlertmanagerConfig {
    return this.#config
  }
  get silences(): ReadonlyMap<string, Silence> {
    return this.#state.silences
  }

  /** Has it nothing to keep: no alerts, and neither silences nor notifications that still count? */
  get isIdle(): boolean {
    this.#state.forgetExpired(this.#world.clock.nowMs())
    const { silences, notifications } = this.#state
    const kept = [this.#alerts, this.#groups, this.#flushes, silences, notifications]
    return !this.#isBackupWanted && kept.every(({ size }) => size === 0)
  }

  /**
   * Reads the state; what can't be read is set aside, and keeps nobody from starting. Throws NewerFormatError for one
   * that a newer program wrote.
   */
  async open(): Promise<void> {
    const { clock, log } = this.#world
    const isDamaged = await this.#readFile()
    // A bucket that is silent holds up no start: what it has is merged when it comes.
    if (this.#isBackupWanted) await Promise.race([this.#readBackup(), sleep(clock, backupWaitMs)])
    if (isDamaged)
      await this.#inTurn(() => this.#write(this.#state)).catch((error: unknown) => {
        log.warn('what was read of a damaged file could not be written', { error: messageOf(error) })
      })
    let sinceBackupMs = 0
    this.#maintenance = new Repeater(clock, 15_000, async () => {
      const nowMs = clock.nowMs()
      for (const alert of this.#alerts.values()) if (alert.endsMs + alertGcMs < nowMs) this.#forget(alert)
      if (this.#isBackupWanted) await this.#readBackup()
      sinceBackupMs += 15_000
      if (sinceBackupMs < backupEveryMs) return
      sinceBackupMs = 0
      await this.#writeBackup()
    })
  }

  /** Whether the file was damaged. */
  async #readFile(): Promise<boolean> {
    const { files, statePath, log, clock } = this.#world
    let bytes: Uint8Array
    try {
      bytes = await files.read(statePath)
    } catch (error) {
      this.#isBackupWanted = true
      if (!(error instanceof NotFoundError))
        log.error("silences and notifications of before can't be read", { file: statePath, error: messageOf(error) })
      return false
    }
    const problems = this.#state.decode(bytes)
    this.#silencesChanged()
    if (problems.length === 0) return false
    // What the damage hit may be in the copy.
    this.#isBackupWanted = true
    const aside = `${statePath}.damaged-${clock.nowMs()}`
    log.error('the file of silences and notifications is damaged: what can be read of it is kept', {
      file: statePath,
      aside,
      silences: this.#state.silences.size,
      notifications: this.#state.notifications.size,
      problems: problems.length,
      first: problems[0],
    })
    await files.writeAtomic(aside, bytes).catch((error: unknown) => {
      log.warn('the damaged file could not be set aside', { file: aside, error: messageOf(error) })
    })
    return true
  }

  /** The copy must be read before another one takes its place. */
  #readBackup(): Promise<void> {
    this.#readingBackup ??= this.#readBackupNow().finally(() => {
      this.#readingBackup = undefined
    })
    return this.#readingBackup
  }
  #readingBackup: Promise<void> | undefined

  async #readBackupNow(): Promise<void> {
    const { backup, log, random } = this.#world
    try {
      const bytes = await backup?.read()
      const copy = new AlertmanagerState(random)
      // A copy that a newer program wrote stays as it is: it is wanted, and never replaced.
      const problems = bytes === undefined ? [] : copy.decode(bytes)
      this.#isBackupWanted = false
      if (bytes === undefined) return
      if (problems.length > 0) log.error('the copy of silences and notifications is damaged', { first: problems[0] })
      await this.#inTurn(async () => {
        this.#state.merge(copy)
        this.#silencesChanged()
      })
    } catch (error) {
      log.warn('the copy of silences can not be read from the bucket yet', { error: messageOf(error) })
    }
  }

  async #writeBackup(): Promise<void> {
    const { backup, clock, log } = this.#world
    if (!this.#isChanged || this.#isBackupWanted || backup === undefined) return
    this.#isChanged = false
    await backup.write(await this.#state.encode(clock.nowMs(), this.#pause)).catch((error: unknown) => {
      this.#isChanged = true
      log.warn('silences could not be copied to the bucket', { error: messageOf(error) })
    })
  }

  /** Goes on with another configuration: alerts are grouped again, the log of notifications is kept. */
  apply(config: AlertmanagerConfig, templates: Templates): void {
    this.#config = config
    this.#templates = templates
    for (const group of this.#groups.values()) group.timer?.cancel()
    this.#groups.clear()
    // Notifications under way go on with the clients that they began with.
    const before = [...this.#clients]
    void Promise.all(this.#flushes).then(async () => {
      for (const [integration, client] of before) {
        this.#clients.delete(integration)
        await client.close()
      }
    })
    this.#inhibition = new Inhibition(config.inhibitRules, this.#alerts.values(), this.#valueOf)
    for (const alert of this.#alerts.values()) this.#dispatch(alert)
  }

  // --- Alerts ---

  /**
   * Takes alerts in, with pauses, as of one instant. Alerts that can't be taken become problems; the others are kept.
   * Throws UnavailableError when it is closed.
   */
  async receive(incoming: readonly IncomingAlert[]): Promise<Received> {
    const nowMs = this.#world.clock.nowMs()
    const received: Received = { refused: 0, problems: [], passes: false }
    for (let from = 0; from < incoming.length; from += receivedAtOnce) {
      if (from > 0) await this.#pause()
      this.#requireOpen()
      const to = Math.min(from + receivedAtOnce, incoming.length)
      for (let i = from; i < to; i++) this.#receive(incoming[i]!, nowMs, received)
    }
    return received
  }

  /** It may be closed while a request arrives: then another one has its place, and the file. */
  #requireOpen(): void {
    if (this.#stopped) throw new UnavailableError('this Alertmanager was just closed; send again', 1)
  }

  #receive(incoming: IncomingAlert, nowMs: number, received: Received): void {
    const alert = this.#managed(incoming, nowMs)
    const old = this.#alerts.get(alert.fingerprint)
    const isNamed = received.problems.length < problemsMax
    const lasting = this.#problemOf(alert)
    const problem = lasting ?? this.#tooMany(alert, old)
    if (problem !== undefined) {
      received.refused++
      if (isNamed) received.problems.push(problem)
      if (lasting === undefined) received.passes = true
      return
    }
    // The same incident when both overlap in time.
    if (old !== undefined && alert.endsMs > old.startsMs && alert.startsMs < old.endsMs) {
      alert.startsMs = Math.min(old.startsMs, alert.startsMs)
      if (alert.isTimeout && !old.isTimeout && old.endsMs > nowMs && old.endsMs > alert.endsMs)
        alert.endsMs = old.endsMs
    }
    this.#alertCharacters += alert.characters - (old?.characters ?? 0)
    this.#alerts.set(alert.fingerprint, alert)
    this.#countAlerts()
    this.#inhibition.add(alert)
    this.#dispatch(alert)
  }

  #managed({ labels, annotations, startsMs, endsMs, generatorUrl }: IncomingAlert, nowMs: number): ManagedAlert {
    return {
      labels,
      annotations,
      startsMs: startsMs ?? (endsMs !== undefined ? Math.min(endsMs, nowMs) : nowMs),
      endsMs: endsMs ?? nowMs + this.#config.resolveTimeoutMs,
      updatedMs: nowMs,
      generatorUrl,
      isTimeout: endsMs === undefined,
      fingerprint: fingerprintOf(labels),
      characters: charactersOf(labels) + charactersOf(annotations) + generatorUrl.length,
    }
  }

  /** Why an alert can never be taken. */
  #problemOf({ labels, startsMs, endsMs, characters }: ManagedAlert): string | undefined {
    const { labelCharactersMax, alertCharactersMax } = this.#world.limits
    if (labels.size === 0) return 'at least one label pair required'
    if (endsMs < startsMs) return 'start time must be before end time'
    const labelCharacters = charactersOf(labels)
    if (labelCharacters > labelCharactersMax)
      return `the labels of an alert have ${labelCharacters} characters, the limit is ${labelCharactersMax}`
    if (characters > alertCharactersMax)
      return `alert ${labels.toString()} has ${characters} characters, the limit is ${alertCharactersMax}`
    return undefined
  }

  /** Why there is no room for an alert now; `old` is what it takes the place of. */
  #tooMany({ labels, characters }: ManagedAlert, old: ManagedAlert | undefined): string | undefined {
    const { alertsMax, allAlertsCharactersMax } = this.#world.limits
    const { rooms } = this.#world
    if (old === undefined && this.#alerts.size >= alertsMax)
      return (
        `there are ${this.#alerts.size} alerts, which is the limit: ${labels.toString()} is not taken; ` +
        'resolve some, or raise limits.alerts'
      )
    if (old === undefined && !this.#shares.alerts.isRoomFor(1))
      return (
        `there are ${rooms.alerts.held} alerts of all tenants, the limit is ${rooms.alerts.max}, and this one has ` +
        `its part of them: ${labels.toString()} is not taken; resolve some, or raise limits.alerts`
      )
    const held = this.#alertCharacters + characters - (old?.characters ?? 0)
    if (held > allAlertsCharactersMax)
      return (
        `all alerts would have ${held} characters, the limit is ${allAlertsCharactersMax}: ` +
        `${labels.toString()} is not taken; shorten annotations`
      )
    if (!this.#shares.characters.isRoomFor(characters - (old?.characters ?? 0)))
      return (
        `the alerts of all tenants have ${rooms.characters.held} characters, the limit is ${rooms.characters.max}, ` +
        `and this one has its part of them: ${labels.toString()} is not taken; shorten annotations`
      )
    return undefined
  }

  #forget(alert: ManagedAlert): void {
    this.#alerts.delete(alert.fingerprint)
    this.#alertCharacters -= alert.characters
    this.#countAlerts()
    this.#inhibition.remove(alert)
    this.#silencing.forget(alert)
  }

  #countAlerts(): void {
    this.#shares.alerts.hold(this.#alerts.size)
    this.#shares.characters.hold(this.#alertCharacters)
  }

  #silencesChanged(): void {
    this.#silencing.changed()
    this.#shares.silences.hold(this.#state.silences.size)
  }

  alerts(): ManagedAlert[] {
    const nowMs = this.#world.clock.nowMs()
    return [...this.#alerts.values()].filter(a => a.endsMs > nowMs)
  }

  /** Groups that have alerts now. */
  groups(): { receiver: string; labels: Labels; route: RouteSettings; alerts: ManagedAlert[] }[] {
    const nowMs = this.#world.clock.nowMs()
    return [...this.#groups.values()]
      .map(g => ({
        receiver: g.route.receiver,
        labels: g.labels,
        route: g.route,
        alerts: [...g.alerts.values()].filter(a => a.endsMs > nowMs),
      }))
      .filter(g => g.alerts.length > 0)
  }

  /** The routes that an alert takes, in order. */
  routesOf(labels: Labels): RouteSettings[] {
    return routesOf(this.#config.route, labels, this.#valueOf)
  }

  /** `route`: as a member of a group, which may be mute. `pause` is called between pieces of work. */
  async statusOf(alert: ManagedAlert, route?: RouteSettings, pause = this.#pause): Promise<AlertStatus> {
    const nowMs = this.#world.clock.nowMs()
    const silencedBy = await this.#silencing.silencing(alert, nowMs, pause)
    const inhibitedBy = this.#inhibition.inhibiting(alert, nowMs)
    const mutedBy = route === undefined ? [] : (this.#muting(route, nowMs) ?? [])
    return {
      state: silencedBy.length + inhibitedBy.length + mutedBy.length > 0 ? 'suppressed' : 'active',
      silencedBy,
      inhibitedBy,
      mutedBy,
    }
  }

  /** Names of the intervals that a route is mute for; undefined: it isn't. */
  #muting(route: RouteSettings, nowMs: number): string[] | undefined {
    const { timeIntervals } = this.#config
    const inside = (name: string): boolean => {
      const interval = timeIntervals.get(name)
      return interval !== undefined && isWithin(interval, nowMs)
    }
    const mute = route.muteIntervals.filter(inside)
    if (mute.length > 0) return mute
    return route.activeIntervals.length > 0 && !route.activeIntervals.some(inside) ? route.activeIntervals : undefined
  }

  // --- Groups ---

  #dispatch(alert: ManagedAlert): void {
    const nowMs = this.#world.clock.nowMs()
    for (const route of this.routesOf(alert.labels)) {
      const labels =
        route.groupBy === undefined
          ? alert.labels
          : Labels.from(route.groupBy.map((name): [string, string] => [name, this.#valueOf(alert.labels, name)]))
      const key = `${route.key}:${labelText(labels)}`
      const place = `${routeId(this.#config.route, route)} ${key}`
      let group = this.#groups.get(place)
      if (group === undefined) {
        // A resolved alert begins no group.
        if (alert.endsMs <= nowMs) continue
        this.#groups.set(
          place,
          (group = { key, route, labels, alerts: new Map(), timer: undefined, hasFlushed: false, isFlushing: false }),
        )
        this.#arm(group, place, route.groupWaitMs)
      }
      group.alerts.set(alert.fingerprint, alert)
      // An alert that waited long enough before it came here waits no more.
      if (!group.hasFlushed && alert.startsMs + route.groupWaitMs < nowMs) this.#arm(group, place, 0)
    }
  }

  #arm(group: AlertGroup, place: string, delayMs: number): void {
    if (this.#stopped) return
    group.timer?.cancel()
    group.timer = this.#world.clock.after(delayMs, () => {
      if (group.isFlushing) {
        this.#arm(group, place, group.route.groupIntervalMs)
        return
      }
      this.#arm(group, place, group.route.groupIntervalMs)
      group.hasFlushed = true
      group.isFlushing = true
      const flush = this.#flush(group, place)
        .catch((error: unknown) => {
          this.#world.log.error('a group of alerts could not be flushed', { group: group.key, error: messageOf(error) })
        })
        .finally(() => {
          group.isFlushing = false
          this.#flushes.delete(flush)
        })
      this.#flushes.add(flush)
    })
  }

  async #flush(group: AlertGroup, place: string): Promise<void> {
    const nowMs = this.#world.clock.nowMs()
    // As they are now: an alert that is received again during the flush replaces its entry in the group.
    const all = [...group.alerts.values()].sort((a, b) => (a.labels.key < b.labels.key ? -1 : 1))
    const isNotified = await this.#notify(group, all, nowMs)
    if (isNotified)
      for (const alert of all)
        if (alert.endsMs <= nowMs && group.alerts.get(alert.fingerprint) === alert)
          group.alerts.delete(alert.fingerprint)
    if (group.alerts.size === 0) {
      group.timer?.cancel()
      if (this.#groups.get(place) === group) this.#groups.delete(place)
    }
  }

  /** Whether every integration was notified, or had no reason to be. */
  async #notify(group: AlertGroup, all: readonly ManagedAlert[], nowMs: number): Promise<boolean> {
    if (this.#muting(group.route, nowMs) !== undefined) return true
    const shown: ManagedAlert[] = []
    for (const [i, alert] of all.entries()) {
      if (i % receivedAtOnce === receivedAtOnce - 1) await this.#pause()
      if (this.#inhibition.inhibiting(alert, nowMs).length > 0) continue
      if ((await this.#silencing.silencing(alert, nowMs, this.#pause)).length === 0) shown.push(alert)
    }
    if (shown.length === 0) return true
    const receiver = this.#config.receivers.find(r => r.name === group.route.receiver)
    const outcomes = await Promise.all(
      (receiver?.integrations ?? []).map((integration, i) =>
        this.#notifyIntegration(group, receiver!, integration, i, shown, nowMs),
      ),
    )
    return outcomes.every(Boolean)
  }

  async #notifyIntegration(
    group: AlertGroup,
    receiver: ReceiverSettings,
    integration: Integration,
    index: number,
    alerts: readonly ManagedAlert[],
    nowMs: number,
  ): Promise<boolean> {
    const firing = alerts.filter(a => a.endsMs > nowMs)
    const resolved = alerts.filter(a => a.endsMs <= nowMs)
    const logKey = `${receiver.name}/${integration.kind}/${index}:${group.key}`
    const entry = this.#state.notifications.get(logKey)
    const firingIds = firing.map(a => a.fingerprint)
    const resolvedIds = resolved.map(a => a.fingerprint)
    const reason = notificationReason(
      entry,
      firingIds,
      resolvedIds,
      integration.sendResolved,
      group.route.repeatIntervalMs,
      nowMs,
    )
    if (reason === undefined) return true
    const sent = integration.sendResolved ? alerts : firing
    if (sent.length > 0) {
      const data = {
        receiver: receiver.name,
        status: firing.length > 0 ? ('firing' as const) : ('resolved' as const),
        alerts: sent,
        groupLabels: group.labels,
        externalUrl: this.#world.externalUrl,
        nowMs,
      }
      if (!(await this.#send(integration, { data, groupKey: this.#sentKeyOf(group), reason }, group))) return false
    }
    this.#state.notifications.set(logKey, {
      atMs: nowMs,
      firing: firingIds,
      resolved: resolvedIds,
      expiresMs: nowMs + 2 * group.route.repeatIntervalMs + 3_600_000,
    })
    // It is notified in any case: without the entry in the file it may be once more after a restart.
    await this.#writeSoon().catch((error: unknown) => {
      this.#world.log.warn('a notification could not be noted', { group: group.key, error: messageOf(error) })
    })
    return true
  }

  /** Receivers know an incident by it: equal groups of two tenants are two. */
  #sentKeyOf({ key }: AlertGroup): string {
    const { tenant } = this.#world
    return tenant === undefined ? key : `${tenant}/${key}`
  }

  /** Tries until the group's next flush is due; false when the notification was given up. */
  async #send(
    integration: Integration,
    outgoing: Parameters<typeof sendNotification>[1],
    group: AlertGroup,
  ): Promise<boolean> {
    const { clock, log, readSecret, mail, client } = this.#world
    let own = this.#clients.get(integration)
    if (own === undefined) this.#clients.set(integration, (own = client(integration.client)))
    const known = new KnownSecrets()
    const secret = async (one: Secret): Promise<string> => {
      const text = one.file === '' ? one.reveal() : (await readSecret(one.file)).trim()
      known.addUrl(text, true)
      known.add(text)
      return text
    }
    const sender = own
    const hide = (text: string): string => known.hide(sender.hide(text))
    const endMs = clock.monotonicMs() + Math.max(group.route.groupIntervalMs, 10_000)
    for (let attempt = 0; ; attempt++) {
      let pauseMs = backoffMs(attempt, retryPause)
      try {
        await sendNotification(integration, outgoing, {
          clock,
          client: own,
          templates: this.#templates,
          secret,
          hide,
          mail,
        })
        this.notifications++
        return true
      } catch (error) {
        this.failures++
        if (error instanceof UnavailableError) pauseMs = Math.max(pauseMs, error.retryAfterSeconds * 1000)
        const isOver = error instanceof BadDataError || clock.monotonicMs() + pauseMs >= endMs || this.#stopped
        log.warn(isOver ? 'a notification was given up' : 'a notification failed, it is tried again', {
          receiver: outgoing.data.receiver,
          kind: integration.kind,
          group: group.key,
          error: hide(messageOf(error)),
        })
        if (isOver) return false
      }
      await this.#pauses.wait(pauseMs)
      if (this.#stopped) return false
    }
  }

  // --- Silences ---

  /** The silence is active when it is in the file. Throws BadDataError, UnavailableError when it can't be written. */
  setSilence(silence: Omit<Silence, 'updatedMs'>): Promise<string> {
    const { clock, limits } = this.#world
    return this.#change(draft => {
      const silencesMax = this.#shares.silences.isRoomFor(1) ? limits.silencesMax : 0
      return draft.setSilence(silence, clock.nowMs(), { silencesMax })
    })
  }

  async expireSilence(id: string): Promise<void> {
    await this.#change(draft => {
      draft.expireSilence(id, this.#world.clock.nowMs())
      return id
    })
  }

  /** One change after the other: each is in the file before it is seen; one that can't be written leaves no trace. */
  #change<T>(change: (draft: AlertmanagerState) => T): Promise<T> {
    return this.#inTurn(async () => {
      this.#requireOpen()
      const draft = this.#state.draft()
      const result = change(draft)
      await this.#write(draft)
      this.#state.adopt(draft)
      this.#silencesChanged()
      return result
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#saving.then(work)
    this.#saving = run.then(
      () => undefined,
      () => undefined,
    )
    return run
  }

  /** Writes the state when its turn comes. Callers that wait for the same turn share one write. */
  #writeSoon(): Promise<void> {
    this.#awaited ??= this.#inTurn(() => {
      this.#awaited = undefined
      return this.#write(this.#state)
    })
    return this.#awaited
  }
  #awaited: Promise<void> | undefined

  async #write(state: AlertmanagerState): Promise<void> {
    const { files, statePath, clock } = this.#world
    try {
      await files.writeAtomic(statePath, await state.encode(clock.nowMs(), this.#pause), true)
    } catch (error) {
      throw new UnavailableError(`silences and notifications could not be written: ${messageOf(error)}`, 10, {
        cause: error,
      })
    }
    this.#isChanged = true
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const group of this.#groups.values()) group.timer?.cancel()
    this.#pauses.end()
    await this.#maintenance?.stop()
    await Promise.all(this.#flushes)
    await this.#saving
    await this.#writeBackup()
    await Promise.all([...this.#clients.values()].map(client => client.close()))
    for (const share of Object.values(this.#shares)) share.leave()
  }
}

/** Removes the state of an Alertmanager that is not open, with its copy and what was set aside of it. */
export async function removeState({
  files,
  statePath,
  backup,
}: Pick<AlertmanagerWorld, 'files' | 'statePath' | 'backup'>): Promise<void> {
  // The copy first: a state that the disk has not is read from there.
  await backup?.remove()
  const directory = dirname(statePath)
  const own = (await files.list(directory)).filter(name => name.startsWith(basename(statePath)))
  for (const name of own) await files.remove(join(directory, name), true)
}

/** The place of a route in the tree: it distinguishes routes with equal matchers. */
function routeId(root: RouteSettings, wanted: RouteSettings): string {
  let id = ''
  const walk = (route: RouteSettings, path: string): boolean => {
    if (route === wanted) {
      id = path
      return true
    }
    return route.routes.some((child, i) => walk(child, `${path}.${i}`))
  }
  walk(root, '0')
  return id
}

/** Why an integration must be notified, given its last notification (`entry`); undefined: no reason. */
function notificationReason(
  entry: { atMs: number; firing: string[]; resolved: string[] } | undefined,
  firing: readonly string[],
  resolved: readonly string[],
  sendResolved: boolean,
  repeatMs: number,
  nowMs: number,
): string | undefined {
  if (entry === undefined) return firing.length > 0 ? 'first notification' : undefined
  if (hasOthers(firing, entry.firing)) return 'new alerts added'
  // All are resolved: notified once, if the last notification had firing alerts.
  if (firing.length === 0) return entry.firing.length > 0 ? 'all alerts resolved' : undefined
  if (sendResolved && hasOthers(resolved, entry.resolved)) return 'some alerts resolved'
  // One that is not there yet was noted by a clock that was ahead.
  return entry.atMs < nowMs - repeatMs || entry.atMs > nowMs ? 'repeat interval elapsed' : undefined
}

/** Whether `ids` has one that `known` lacks. */
function hasOthers(ids: readonly string[], known: readonly string[]): boolean {
  const set = new Set(known)
  return ids.some(id => !set.has(id))
}

function charactersOf(labels: Labels): number {
  return labels.pairs.reduce((sum, text) => sum + text.length, 0)
}
