/** The section `oidc` of a credentials file: an identity provider, and what it lets people do. */
import { BadDataError } from '#core/errors.ts'
import type { Secret } from '#core/secret.ts'
import type { HttpClientSettings } from '#lang/settings/http-client.ts'
import type { TokenSettings } from './json-web-tokens.ts'

export interface OidcSettings extends TokenSettings {
  readonly issuer: string
  /** Empty: nobody logs in by a browser. */
  readonly clientId: string
  /** Unset: a client without a secret. */
  readonly clientSecret: Secret
  readonly scopes: readonly string[]
  readonly sessionMs: number
  readonly client: HttpClientSettings
}

/** Throws BadDataError for what can't be an issuer. */
export function checkIssuer(issuer: string): void {
  if (!URL.canParse(issuer) || !/^https?:$/.test(new URL(issuer).protocol))
    throw new BadDataError('the address of the provider was expected, as https://id.example.com/realms/acme')
}
