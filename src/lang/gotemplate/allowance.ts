/** What templates may cost: steps and printed characters, of one run and of all runs that share an allowance. */
import { LimitError } from '#core/errors.ts'
import { templateLimits } from '#core/limits.ts'

/** Steps between two looks at the clock. */
const stepsPerCheck = 1000

/**
 * Shared by the runs of one query, or of one notification. A run that exceeds its share fails alone; when everything
 * together exceeds the limit, whoever runs the templates gets a LimitError.
 */
export class TemplateAllowance {
  readonly #check: () => void
  readonly #allStepsMax: number
  #runSteps = 0
  #runCharacters = 0
  #unchecked = 0
  #allSteps = 0
  #allCharacters = 0

  /**
   * `check` is called every thousand steps and throws when the time is over or nobody waits for the answer;
   * `allStepsMax`: of all runs together.
   */
  constructor(check: () => void = () => {}, allStepsMax: number = templateLimits.queryStepsMax) {
    this.#check = check
    this.#allStepsMax = allStepsMax
  }

  /** Steps of all runs. */
  get steps(): number {
    return this.#allSteps
  }

  /** Forgets what all runs have used: for runs that follow a stream without an end. */
  restart(): void {
    this.#allSteps = 0
    this.#allCharacters = 0
  }

  /** A run begins that is not part of another one. */
  begin(): void {
    this.#runSteps = 0
    this.#runCharacters = 0
  }

  /** Counts steps; false when the run has used its share. Throws LimitError and what `check` throws. */
  step(count: number): boolean {
    this.#runSteps += count
    this.#allSteps += count
    this.#unchecked += count
    if (this.#unchecked >= stepsPerCheck) {
      this.#unchecked = 0
      this.#check()
    }
    if (this.#allSteps > this.#allStepsMax)
      throw new LimitError(
        `the templates take more than ${this.#allStepsMax} steps, which is the limit; ` +
          'run them over fewer lines or make them simpler',
        422,
      )
    return this.#runSteps <= templateLimits.stepsMax
  }

  /** Counts characters that are printed; false when the run has used its share. Throws LimitError. */
  print(characters: number): boolean {
    this.#runCharacters += characters
    this.#allCharacters += characters
    if (this.#allCharacters > templateLimits.queryCharactersMax)
      throw new LimitError(
        `the templates print more than ${templateLimits.queryCharactersMax} characters, which is the limit; ` +
          'run them over fewer lines or print less',
        422,
      )
    return this.#runCharacters <= templateLimits.charactersMax
  }
}
