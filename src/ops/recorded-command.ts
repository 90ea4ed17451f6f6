/** Runs a command with the terminal of this process, hands signals on, and says how it ended. */
import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

export type CommandEnd =
  | { kind: 'ended'; exitCode: number }
  /** It was not started: its exit code, as shells have it, and why. */
  | { kind: 'not-started'; exitCode: 126 | 127; reason: string }

const handedOn = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first of `command` is the program. */
export async function runCommand(
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<CommandEnd> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...process.env, ...variables },
    // npm and its like are scripts there, which only a shell starts.
    shell: process.platform === 'win32',
  })
  const stop = handSignalsOn(child)
  try {
    return await endOf(child, program)
  } finally {
    stop()
  }
}

/** Ctrl-C reaches all processes of a terminal: the command has it already. */
function handSignalsOn(child: ChildProcess): () => void {
  const isTerminal = process.stdin.isTTY
  const listeners = handedOn.map(signal => {
    const listener = (): void => {
      if (signal !== 'SIGINT' || !isTerminal) child.kill(signal)
    }
    process.on(signal, listener)
    return () => process.off(signal, listener)
  })
  return () => {
    for (const remove of listeners) remove()
  }
}

function endOf(child: ChildProcess, program: string): Promise<CommandEnd> {
  return new Promise(resolve => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const isFound = error.code !== 'ENOENT'
      const reason = isFound ? error.message : `${program}: command not found`
      resolve({ kind: 'not-started', exitCode: isFound ? 126 : 127, reason })
    })
    child.once('exit', (code, signal) => {
      resolve({ kind: 'ended', exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]) })
    })
  })
}
