// Not installed here: it brings 60 packages, and one function of it stands in one snippet.
declare module 'better-auth/node' {
  export function fromNodeHeaders (headers: object): Headers
}
