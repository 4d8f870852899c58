import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = join(__dirname, '..', 'lib')
const doors = ['public.ts', 'testing/testing.ts'].map((file) => join(root, file))
const program = ts.createProgram([...doors, join(root, 'fastify.ts')], {
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, strict: true
})
const checker = program.getTypeChecker()

const documentation = (symbol: ts.Symbol): string =>
  ts.displayPartsToString(symbol.getDocumentationComment(checker))
const hasDefault = (symbol: ts.Symbol): boolean =>
  symbol.getJsDocTags(checker).some(({ name }) => name === 'default')

/** The types that users see, each once, under the names that they are exported by. */
const types = doors.flatMap((door) => {
  const source = program.getSourceFile(door)
  const symbol = source && checker.getSymbolAtLocation(source)
  return symbol === undefined ? [] : checker.getExportsOfModule(symbol)
}).map((symbol) => symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)

/** The members of a type that our own source declares. */
function membersOf (type: ts.Symbol): ts.Symbol[] {
  const declared = checker.getDeclaredTypeOfSymbol(type)
  const all = declared.isUnion() ? declared.types : [declared]
  return all.flatMap((type) => type.flags & ts.TypeFlags.Object ? type.getProperties() : [])
    .filter(({ declarations: [first] = [] }) => first?.getSourceFile().fileName.startsWith(root))
}

t.test('every public type says in a sentence what it is', async (t) => {
  t.ok(types.length > 50, `${types.length} types`)
  t.strictSame(types.filter((type) => documentation(type) === '').map(({ name }) => name), [])
})

t.test('every member of a public type says what it is', async (t) => {
  const members = types.flatMap((type) => membersOf(type).map((member) => ({ type, member })))
  t.ok(members.length > 150, `${members.length} members`)
  t.strictSame(members.filter(({ member }) => documentation(member) === '')
    .map(({ type, member }) => `${type.name}.${member.name}`), [])
})

t.test('every optional member of what users pass has its default', async (t) => {
  const passed = types.filter(({ name }) => name.endsWith('Options'))
  t.ok(passed.length >= 7, `${passed.length} types`)
  const members = passed.flatMap((type) => membersOf(type).map((member) => ({ type, member })))
  t.strictSame(members.filter(({ member }) =>
    member.flags & ts.SymbolFlags.Optional && !hasDefault(member))
    .map(({ type, member }) => `${type.name}.${member.name}`), [])
})
