/** Waiting in tests for what another process or a socket does: nothing here advances a clock of ours. */

const lookEveryMs = 25

/**
 * Looks again until `look` gives something; throws after `seconds`, naming `what`. Errors of `look` count as nothing
 * yet.
 */
export async function until<T>(
  look: () => Promise<T | undefined> | T | undefined,
  what: string,
  seconds = 30,
): Promise<T> {
  const endMs = performance.now() + seconds * 1000
  let problem = ''
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined) return found
      problem = ''
    } catch (error) {
      problem = `: ${String(error)}`
    }
    if (performance.now() > endMs) throw new Error(`not within ${seconds} s: ${what}${problem}`)
    await new Promise(resolve => setTimeout(resolve, lookEveryMs))
  }
}

/** The same for a condition. */
export async function untilTrue(isSo: () => Promise<boolean> | boolean, what: string, seconds = 30): Promise<void> {
  await until(async () => ((await isSo()) ? true : undefined), what, seconds)
}
