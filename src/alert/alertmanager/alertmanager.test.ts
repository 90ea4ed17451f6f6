/**
 * Scripts of an Alertmanager over the virtual clock: testdata/*.am. A script is a title (`== words`), a route,
 * receivers and rules in alertmanager.yml's form (lines that begin with `|`), events, and every notification that
 * must be sent:
 *
 *     0s fire n=1 team=a       an alert begins (it lasts until it is resolved); `beat`: without an end of its own
 *     5m resolve n=1 team=a    it ends
 *     1m silence team=a 10m    a silence begins; `expire`: the last one ends
 *     2m down r, 3m up r       a receiver fails, and takes mail again
 *     3m ahead 3h              the clock is so far ahead from then on
 *     4m restart, 4m reload    from the state on the disk; with the same configuration
 *     30s -> r: firing 1 2, resolved 3     receiver r is notified; alerts are named by their label n
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import test from 'node:test'
import { parseDurationMs } from '#core/duration.ts'
import { defaultAlertLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { Labels } from '#model/labels.ts'
import { HttpClient } from '#net/http-client.ts'
import type { Mail } from '#net/mail.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import { Alertmanager } from './alertmanager.ts'
import { roomsOf } from './alertmanagers.ts'
import { readAlertmanagerConfig, type AlertmanagerConfig } from './config.ts'
import { parseMatchers } from './matchers.ts'
import { Templates } from './template-data.ts'

/** A Monday. */
const startMs = Date.parse('2026-03-02T00:00:00Z')
const foreverMs = 1000 * 3_600_000

interface Script {
  title: string
  yaml: string
  /** `<time> <words>` */
  events: string[]
  notifications: string[]
}

function readScripts(text: string): Script[] {
  return text
    .split(/^== /m)
    .slice(1)
    .map(part => {
      const [title = '', ...lines] = part.split('\n')
      const rest = lines.filter(line => line !== '' && !line.startsWith('#') && !line.startsWith('|'))
      return {
        title,
        yaml: lines
          .filter(line => line.startsWith('|'))
          .map(line => line.slice(2))
          .join('\n'),
        events: rest.filter(line => !line.includes(' -> ')),
        notifications: rest.filter(line => line.includes(' -> ')),
      }
    })
}

/** Receivers are mails whose text names the alerts: `email` in a script stands for such an integration. */
function configOf(yaml: string): AlertmanagerConfig {
  const list = (status: string): string =>
    `{{ if .Alerts.${status} }}${status.toLowerCase()}{{ range .Alerts.${status} }} {{ .Labels.n }}{{ end }};{{ end }}`
  const texts = `from: 'am@x', smarthost: 'h:25', html: '', text: '${list('Firing')}${list('Resolved')}'`
  return readAlertmanagerConfig(yaml.replaceAll(/email\(([^)]*)\)/g, `email_configs: [{ ${texts}, $1 }]`), 'am.yml')
}

class SetClock extends VirtualClock {
  aheadMs = 0
  override nowMs(): number {
    return super.nowMs() + this.aheadMs
  }
}

class Runner {
  readonly clock = new SetClock(startMs)
  readonly sent: string[] = []
  readonly #config: AlertmanagerConfig
  readonly #files = new MemoryFiles()
  readonly #down = new Set<string>()
  #manager: Alertmanager
  #silence = ''

  constructor(yaml: string) {
    this.#config = configOf(yaml)
    this.#manager = this.#make()
  }

  #make(): Alertmanager {
    const { clock } = this
    const files = this.#files
    return new Alertmanager(this.#config, new Templates([]), {
      clock,
      random: seededRandom(1),
      log: silentLog,
      files,
      statePath: '/state.json',
      backup: undefined,
      externalUrl: 'http://am',
      client: () => new HttpClient(plainClient, { clock, files, env: {}, guard: new OutgoingGuard(), directory: '/' }),
      readSecret: () => Promise.resolve(''),
      limits: defaultAlertLimits,
      tenant: undefined,
      rooms: roomsOf(defaultAlertLimits),
      mail: mail => this.#take(mail),
    })
  }

  #take({ to, text }: Mail): Promise<void> {
    if (this.#down.has(to)) return Promise.reject(new Error('down'))
    const shown = text.split(';').filter(Boolean).join(', ')
    this.sent.push(`${this.#now()} -> ${to}: ${shown}`)
    return Promise.resolve()
  }

  #now(): string {
    const seconds = Math.round((this.clock.monotonicMs() - startMs) / 1000)
    return seconds % 60 === 0 && seconds > 0 ? `${seconds / 60}m` : `${seconds}s`
  }

  async open(): Promise<void> {
    await this.#manager.open()
  }

  async run(event: string): Promise<void> {
    const [at = '', verb = '', ...words] = event.split(' ')
    await this.clock.advance(startMs + (parseDurationMs(at) ?? Number.NaN) - this.clock.monotonicMs())
    const nowMs = this.clock.nowMs()
    const labels = (): Labels => Labels.fromObject(Object.fromEntries(words.map(word => word.split('='))))
    const receive = (endsMs: number | undefined): void => {
      const alert = { annotations: Labels.empty, startsMs: undefined, endsMs, generatorUrl: '' }
      this.#manager.receive([{ ...alert, labels: labels() }])
    }
    switch (verb) {
      case 'fire':
        return receive(nowMs + foreverMs)
      case 'beat':
        return receive(undefined)
      case 'resolve':
        return receive(nowMs)
      case 'silence': {
        const endsMs = nowMs + (parseDurationMs(words[1] ?? '') ?? 0)
        const matchers = parseMatchers(words[0] ?? '')
        const own = { id: '', startsMs: nowMs, createdBy: '', comment: '' }
        this.#silence = await this.#manager.setSilence({ ...own, matchers, endsMs })
        return
      }
      case 'expire':
        return this.#manager.expireSilence(this.#silence)
      case 'down':
        return void this.#down.add(words[0] ?? '')
      case 'up':
        return void this.#down.delete(words[0] ?? '')
      case 'ahead':
        this.clock.aheadMs = parseDurationMs(words[0] ?? '') ?? 0
        return
      case 'reload':
        return this.#manager.apply(this.#config, new Templates([]))
      case 'restart':
        await this.#manager.stop()
        this.#manager = this.#make()
        return this.#manager.open()
      case 'end':
        return this.#manager.stop()
      default:
        throw new Error(`no such event: ${event}`)
    }
  }
}

const directory = `${import.meta.dirname}/testdata`
for (const file of globSync(`${directory}/*.am`).sort())
  for (const { title, yaml, events, notifications } of readScripts(readFileSync(file, 'utf8')))
    test(`${basename(file, '.am')}: ${title}`, async () => {
      const runner = new Runner(yaml)
      await runner.open()
      for (const event of events) await runner.run(event)
      assert.deepEqual(runner.sent, notifications)
    })
