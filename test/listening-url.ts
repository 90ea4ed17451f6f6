/** The address at which a process that was started listens, as it prints it. */
import type { ChildProcess } from 'node:child_process'

/** `http://host:port`; an error when the process ends before it says one. */
export function listeningUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (part: Buffer) => {
      text += part.toString()
      const found = /http +(http:\/\/\S+)/.exec(text)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code, signal) => {
      reject(new Error(`the process ended with ${signal ?? code} before it listened`))
    })
  })
}
