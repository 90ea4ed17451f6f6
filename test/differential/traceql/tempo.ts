/** A real Tempo: one program, everything in its live store. */
import { readFileSync } from 'node:fs'
import type { RealServer } from '../question.ts'
import { startProgram } from '../real-program.ts'

const configuration = new URL('tempo.yaml', import.meta.url).pathname

/** Where each server that was started takes spans. */
const receivers = new Map<string, string>()

/** Spans go to a port of their own there. */
export function receiverOf(url: string): string {
  return receivers.get(url) ?? url
}

export async function startTempo(directory: string): Promise<RealServer | undefined> {
  let receiver = ''
  const run = await startProgram({
    name: 'tempo-main',
    directory,
    ports: 4,
    args: () => [`-config.file=${configuration}`, '-config.expand-env=true'],
    env: ([http, grpc, otlp, gossip]) => {
      receiver = `http://127.0.0.1:${otlp}`
      return {
        TEMPO_HTTP: String(http),
        TEMPO_GRPC: String(grpc),
        TEMPO_OTLP: String(otlp),
        TEMPO_GOSSIP: String(gossip),
        TEMPO_DIRECTORY: directory,
      }
    },
    readyPath: '/ready',
  })
  if (run === undefined) return undefined
  receivers.set(run.url, receiver)
  return { url: run.url, version: await versionOf(run.url), origin: originOf(), stop: () => run.stop() }
}

async function versionOf(url: string): Promise<string> {
  const build = (await (await fetch(`${url}/api/status/buildinfo`)).json()) as { version: string; revision: string }
  return `${build.version} (${build.revision})`
}

function originOf(): string {
  return `tempo -config.file=tempo.yaml -config.expand-env=true\n${readFileSync(configuration, 'utf8')}`
}
