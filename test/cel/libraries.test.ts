/** The libraries that Kubernetes adds: strings, lists, sets, regular expressions, URLs, addresses, quantities, versions, formats. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CelAuthorizer, type CelAuthorizerQuestion, CelBudget, CelEnvironment, celTypes } from '../../src/cel/index.ts';
import { checkComplaints, checkFailures, checkValues } from './expressions.ts';

test('strings', () => {
  checkValues([
    ['"tacocat".charAt(3)', 'o'],
    ['"tacocat".charAt(7)', ''],
    ['"😀a".charAt(1)', 'a'],
    ['"tacocat".indexOf("c")', 2],
    ['"tacocat".indexOf("x")', -1],
    ['"tacocat".indexOf("c", 3)', 4],
    ['"tacocat".indexOf("")', 0],
    ['"tacocat".indexOf("c", 99)', -1],
    ['"😀a".indexOf("a")', 1],
    ['"tacocat".lastIndexOf("at")', 5],
    ['"tacocat".lastIndexOf("c", 3)', 2],
    ['"tacocat".lastIndexOf("")', 7],
    ['"TacoÀ".lowerAscii()', 'tacoÀ'],
    ['"tacoé".upperAscii()', 'TACOé'],
    ['"hello hello".replace("he", "we")', 'wello wello'],
    ['"hello hello".replace("he", "we", 1)', 'wello hello'],
    ['"hello".replace("l", "", -1)', 'heo'],
    ['"hello".replace("l", "x", 0)', 'hello'],
    ['"ab".replace("", "_")', '_a_b_'],
    ['"a b c".split(" ")', ['a', 'b', 'c']],
    ['"a b c".split(" ", 2)', ['a', 'b c']],
    ['"a b c".split(" ", 0)', []],
    ['"abc".split("")', ['a', 'b', 'c']],
    ['"tacocat".substring(4)', 'cat'],
    ['"tacocat".substring(0, 4)', 'taco'],
    ['"😀ab".substring(1, 2)', 'a'],
    ['"  x\\t\\n".trim()', 'x'],
    ['["a", "b"].join()', 'ab'],
    ['["a", "b"].join("-")', 'a-b'],
    ['[].join("-")', ''],
    ['strings.quote("a\\n\\"b\\"")', '"a\\n\\"b\\""'],
    ['"abc".contains("b") && "abc".startsWith("a") && "abc".endsWith("c")', true],
    ['"%s is %d".format(["x", 3])', 'x is 3'],
    ['"%s %s %s %s".format([true, 1.5, null, [1, dyn("a")]])', 'true 1.5 null [1, a]'],
    ['"%s".format([{"b": dyn(1), "a": dyn([2])}])', '{a: [2], b: 1}'],
    ['"%s %s".format([duration("90s"), timestamp("2024-01-01T00:00:00Z")])', '90s 2024-01-01T00:00:00Z'],
    ['"%.2f %f".format([1.005, 2.0])', '1.00 2.000000'],
    ['"%.1e".format([1234.5])', '1.2e+03'],
    ['"%x %X %o %b %b".format([255, "hi", 8, 5, true])', 'ff 6869 10 101 1'],
    ['"100%%".format([])', '100%'],
  ]);
  checkFailures([
    ['"a".charAt(2)', 'index out of range: 2'],
    ['"a".indexOf("a", -1)', 'index out of range: -1'],
    ['"abc".substring(4)', 'index out of range: 4'],
    ['"abc".substring(2, 1)', 'invalid substring range. start: 2, end: 1'],
    ['"%d".format(["x"])', 'error during formatting: decimal clause can only be used on integers, was given string'],
    ['"%d %d".format([1])', 'index 1 out of range'],
    ['"%z".format([1])', 'could not parse formatting clause: unrecognized formatting clause "z"'],
  ]);
});

test('lists and sets', () => {
  checkValues([
    ['[1, 2, 2].isSorted()', true],
    ['["b", "a"].isSorted()', false],
    ['[].isSorted()', true],
    ['[1, 2, 3].sum()', 6],
    ['[1.5, 2.5].sum()', 4],
    ['[duration("1m"), duration("1s")].sum() == duration("61s")', true],
    ['[3, 1, 2].min()', 1],
    ['["a", "c"].max()', 'c'],
    ['[1, 2, 2, 3].indexOf(2)', 1],
    ['[1, 2, 2, 3].lastIndexOf(2)', 2],
    ['[1].indexOf(7)', -1],
    ['[1, 2, 3, 4].slice(1, 3)', [2, 3]],
    ['[[1], [2, 3]].flatten()', [1, 2, 3]],
    ['[dyn(1), dyn([2, dyn([3])])].flatten(2)', [1, 2, 3]],
    ['[3, 1, 2].sort()', [1, 2, 3]],
    ['["b", "a"].sort()', ['a', 'b']],
    ['[1, 2, 1, 3, 2].distinct()', [1, 2, 3]],
    ['[1, 2].reverse()', [2, 1]],
    ['lists.range(3)', [0, 1, 2]],
    ['[1, 2].first().value() + [1, 2].last().value()', 3],
    ['[{"n": 2}, {"n": 1}].sortBy(x, x.n).map(x, x.n)', [1, 2]],
    ['sets.contains([1, 2, 3], [1, 3])', true],
    ['sets.contains([1], [1, 2])', false],
    ['sets.intersects([1, 2], [2, 3])', true],
    ['sets.intersects([1], [2])', false],
    ['sets.equivalent([1, 2, 2], [2, 1])', true],
    ['sets.equivalent([1], [1, 2])', false],
  ]);
  checkFailures([
    ['numbers.filter(x, x > 9).max() == 1', 'max called on empty list'],
    ['[1, 2].slice(1, 3).size() == 1', 'cannot slice(1, 3), list is length 2'],
    ['[1, 2].slice(2, 1).size() == 1', 'cannot slice(2, 1), start index must be less than or equal to end index'],
    ['[9223372036854775807, 1].sum() == 0', 'integer overflow'],
  ]);
  checkComplaints([['[[1]].sum() == 1', 10, "found no matching overload for 'sum' applied to 'list(list(int)).()'"]]);
});

test('regular expressions', () => {
  checkValues([
    ['"foobar".matches("o+b")', true],
    ['"foobar".matches("^o")', false],
    ['matches("foobar", "^foo(bar|baz)$")', true],
    ['"a1b22".find("[0-9]+")', '1'],
    ['"abc".find("[0-9]+")', ''],
    ['"a1b22".findAll("[0-9]+")', ['1', '22']],
    ['"a1b22c3".findAll("[0-9]+", 2)', ['1', '22']],
    ['"aaa".findAll("a*?")', ['', '', '', '']],
    ['"abab".findAll("(ab)+?")', ['ab', 'ab']],
    ['"héé".matches("^\\\\pL+$")', true],
    ['"x" in "axb".findAll("[^ab]")', true],
    ['"ABC".matches("(?i)^abc$")', true],
    ['"a\\nb".matches("^a.b$")', false],
    ['"a\\nb".matches("(?s)^a.b$")', true],
    ['"a\\nb".matches("(?m)^b$")', true],
    ['"word".matches("\\\\bword\\\\b")', true],
    ['"a.b".matches("^\\\\Qa.b\\\\E$")', true],
    ['"2024-01-02".matches("^\\\\d{4}-\\\\d{2}-\\\\d{2}$")', true],
    ['"aaaa".matches("^a{2,3}$")', false],
    ['"[]".matches("^[][]+$")', true],
    ['"a-z".matches("^[a\\\\-z]+$")', true],
    ['"tab\\t".matches("[[:space:]]$")', true],
    ['"_1".matches("^\\\\w+$") && "é".matches("^\\\\W$")', true],
  ]);
  checkFailures([
    ['words.a.matches("(" + words.a)', 'error parsing regexp: missing closing ): `(b`'],
    ['words.a.find("[" + words.a) == ""', 'Illegal regex: error parsing regexp: missing closing ]: `[b`'],
    ['words.a.matches("*" + words.a)', 'error parsing regexp: missing argument to repetition operator: `*`'],
    ['words.a.matches("(?=" + words.a + ")")', 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
    ['words.a.matches("a**" + words.a)', 'error parsing regexp: invalid nested repetition operator: `**`'],
    ['words.a.matches("a{1001}" + words.a)', 'error parsing regexp: invalid repeat count: `{1001}`'],
    ['words.a.matches("\\\\8" + words.a)', 'error parsing regexp: invalid escape sequence: `\\8`'],
    ['words.a.matches("(a{1000}){1000}" + words.a)', 'error parsing regexp: expression too large: `(a{1000}){1000}b`'],
  ]);
});

test('URLs', () => {
  checkValues([
    ['url("https://user@example.com:80/a b?x=1&x=2&y=#frag").getScheme()', 'https'],
    ['url("https://example.com:80/").getHost()', 'example.com:80'],
    ['url("https://example.com:80/").getHostname()', 'example.com'],
    ['url("https://[::1]:80/").getHostname()', '::1'],
    ['url("https://example.com:80/").getPort()', '80'],
    ['url("https://example.com/").getPort()', ''],
    ['url("https://example.com/a b/é").getEscapedPath()', '/a%20b/%C3%A9'],
    ['url("/only/path").getEscapedPath()', '/only/path'],
    ['url("https://example.com/?x=1&x=2&y=a+b").getQuery()', { x: ['1', '2'], y: ['a b'] }],
    ['isURL("https://example.com/")', true],
    ['isURL("../relative")', false],
    ['isURL("https://a.b:port/")', false],
    ['url("https://a.b/") == url("https://a.b/")', true],
  ]);
  checkFailures([
    ['url("nope").getHost() == ""', 'URL parse error during conversion from string: parse "nope": invalid URI for request'],
  ]);
});

test('addresses and ranges of them', () => {
  checkValues([
    ['ip("192.168.0.1").family()', 4],
    ['ip("::1").family()', 6],
    ['string(ip("2001:DB8:0:0::1"))', '2001:db8::1'],
    ['isIP("300.0.0.1")', false],
    ['isIP("010.0.0.1")', false],
    ['isIP("::ffff:1.2.3.4")', false],
    ['isIP("fe80::1%eth0")', false],
    ['ip.isCanonical("2001:db8::1")', true],
    ['ip.isCanonical("2001:DB8::1")', false],
    ['ip("0.0.0.0").isUnspecified()', true],
    ['ip("127.0.0.1").isLoopback() && ip("::1").isLoopback()', true],
    ['ip("224.0.0.1").isLinkLocalMulticast()', true],
    ['ip("169.254.1.1").isLinkLocalUnicast() && ip("fe80::1").isLinkLocalUnicast()', true],
    ['ip("192.168.0.1").isGlobalUnicast()', true],
    ['ip("255.255.255.255").isGlobalUnicast()', false],
    ['ip("127.0.0.1") == ip("127.0.0.1")', true],
    ['cidr("192.168.0.0/24").containsIP("192.168.0.7")', true],
    ['cidr("192.168.0.0/24").containsIP(ip("192.168.1.7"))', false],
    ['cidr("192.168.0.0/23").containsCIDR("192.168.1.0/24")', true],
    ['cidr("192.168.0.0/24").containsCIDR(cidr("192.168.0.0/23"))', false],
    ['cidr("2001:db8::/33").containsIP("2001:db8:8000::1")', false],
    ['cidr("192.168.0.7/24").ip() == ip("192.168.0.7")', true],
    ['string(cidr("192.168.0.7/24").masked())', '192.168.0.0/24'],
    ['cidr("::/0").prefixLength()', 0],
    ['isCIDR("10.0.0.0/33")', false],
    ['isCIDR("10.0.0.0/08")', false],
    ['type(ip("::1")) == net.IP', true],
  ]);
  checkFailures([
    ['ip("x").family() == 4', 'IP Address "x" parse error during conversion from string: ParseAddr("x"): unable to parse IP'],
    ['ip("::ffff:1.2.3.4").family() == 4', 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'],
  ]);
});

test('quantities and versions', () => {
  checkValues([
    ['isQuantity("1.5Gi") && !isQuantity("1.5Xi")', true],
    ['quantity("1Gi") == quantity("1024Mi")', true],
    ['quantity("200M").compareTo(quantity("0.2G"))', 0],
    ['quantity("1k").isGreaterThan(quantity("999"))', true],
    ['quantity("50m").isLessThan(quantity("1"))', true],
    ['quantity("50k").add(quantity("20k")) == quantity("70k")', true],
    ['quantity("50k").add(20).sub(quantity("100k")).sub(-50000).asInteger()', 20],
    ['quantity("-1").sign()', -1],
    ['quantity("0").sign()', 0],
    ['quantity("1500m").isInteger()', false],
    ['quantity("1.5").asApproximateFloat()', 1.5],
    ['semver("1.2.3").major()', 1],
    ['semver("1.2.3-rc.1").patch()', 3],
    ['semver("1.2.3").isLessThan(semver("1.10.0"))', true],
    ['semver("1.0.0-alpha.1").compareTo(semver("1.0.0-alpha.beta"))', -1],
    ['semver("1.0.0").isGreaterThan(semver("1.0.0-rc.1"))', true],
    ['semver("1.0.0+build") == semver("1.0.0")', true],
    ['semver("v1.02", true) == semver("1.2.0")', true],
    ['isSemver("1.2")', false],
    ['isSemver("v1.2", true)', true],
    ['isSemver("1.2.03")', false],
  ]);
  checkFailures([
    ['quantity("1500m").asInteger() == 1', 'cannot convert value to integer'],
    ['semver("1.2").major() == 1', 'No Major.Minor.Patch elements found'],
  ]);
});

test('named formats', () => {
  checkValues([
    ['format.dns1123Label().validate("my-name").hasValue()', false],
    ['format.dns1123Label().validate("My_Name").value().size()', 1],
    ['format.named("dns1123Subdomain").value().validate("a.b").hasValue()', false],
    ['format.named("nope").hasValue()', false],
    ['format.dns1123LabelPrefix().validate("a-").hasValue()', false],
    ['format.qualifiedName().validate("example.com/x").hasValue()', false],
    ['format.labelValue().validate("-x").hasValue()', true],
    ['format.uuid().validate("00000000-0000-4000-8000-000000000000").hasValue()', false],
    ['format.byte().validate("aGk=").hasValue()', false],
    ['format.byte().validate("???").value()', ['invalid base64']],
    ['format.date().validate("2023-02-29").value()', ['invalid date']],
    ['format.datetime().validate("2024-02-29T00:00:00Z").hasValue()', false],
    ['format.uri().validate("nope").hasValue()', true],
  ]);
});

test('the authorizer is asked what the expression says', () => {
  const asked: CelAuthorizerQuestion[] = [];
  const authorizer = new CelAuthorizer((question) => {
    asked.push(question);
    if (question.verb === 'fail') return { allowed: false, reason: '', error: 'down' };
    return { allowed: question.verb === 'get', reason: 'because' };
  });
  const environment = new CelEnvironment({ variables: { authorizer: celTypes.authorizer } });
  const run = (text: string) => environment.compile(text).evaluate({ authorizer }, new CelBudget(10_000_000));
  assert.is(
    run("authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('x').check('get').allowed()"),
    true,
  );
  assert.is(run("authorizer.serviceAccount('ns', 'robot').path('/healthz').check('post').allowed()"), false);
  assert.is(run("authorizer.path('/x').check('get').reason()"), 'because');
  assert.is(run("authorizer.path('/x').check('fail').errored() && authorizer.path('/x').check('fail').error() == 'down'"), true);
  const resource = { group: 'apps', resource: 'deployments', subresource: 'scale', namespace: 'n', name: 'x' };
  assert.equal(asked[0], { verb: 'get', serviceAccount: undefined, ...resource, fieldSelector: '', labelSelector: '' });
  assert.equal(asked[1], { verb: 'post', serviceAccount: { namespace: 'ns', name: 'robot' }, path: '/healthz' });
  assert.throws(() => run("authorizer.group('').resource(' ').check('get').allowed()"), /resource must not be empty/);
  // Two questions are what one expression can afford.
  const question = "authorizer.path('/x').check('get').allowed()";
  assert.is(run(`${question} && ${question}`), true);
  assert.throws(() => run(`${question} && ${question} && ${question}`), /actual cost limit exceeded/);
});

test.run();
