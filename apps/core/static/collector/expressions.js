/* Evaluates the expressions in the theme's templates without eval.
 *
 * Alpine.js makes functions from the texts of its attributes, which needs 'unsafe-eval' in the
 * Content-Security-Policy. This interpreter takes its place. It knows the part of JavaScript that the
 * templates use, and gives them no way to the window, the document or any function that is not named here.
 * So markup that somebody has put into a page can run nothing.
 */
"use strict";
(() => {
  // Functions of the theme, by their global names.
  const FUNCTIONS = new Set(["theme", "searchForm", "searchCommand", "searchDropdown", "getCurrentTab"]);
  // Methods that may be called on a value; everything else that is called is data of an element.
  const METHODS = new Set(["blur", "focus", "getItem", "includes", "preventDefault", "setItem", "stopPropagation", "toLowerCase"]);
  const ASSIGNABLE_MEMBERS = new Set(["value"]);
  const REFUSED_NAMES = new Set(["__proto__", "constructor", "prototype"]);
  const CONSTANTS = new Map([["true", true], ["false", false], ["null", null], ["undefined", undefined]]);
  const GLOBALS = {
    get localStorage() { return localStorage; },
    get window() { return { location: { pathname: location.pathname, search: location.search, hash: location.hash } }; },
  };

  const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_$][\w$]*)|(=>|===|!==|==|!=|<=|>=|&&|\|\||\?\?|\+\+|--|\+=|-=|[-+*/%!<>=?:.,;()[\]{}]))/y;
  const LEVELS = [["??"], ["||"], ["&&"], ["===", "!==", "==", "!="], ["<", ">", "<=", ">="], ["+", "-"], ["*", "/", "%"]];
  const OPERATIONS = {
    "??": (a, b) => a() ?? b(), "||": (a, b) => a() || b(), "&&": (a, b) => a() && b(),
    "===": (a, b) => a() === b(), "!==": (a, b) => a() !== b(),
    "==": (a, b) => a() == b(), "!=": (a, b) => a() != b(), // eslint-disable-line eqeqeq
    "<": (a, b) => a() < b(), ">": (a, b) => a() > b(), "<=": (a, b) => a() <= b(), ">=": (a, b) => a() >= b(),
    "+": (a, b) => a() + b(), "-": (a, b) => a() - b(), "*": (a, b) => a() * b(), "/": (a, b) => a() / b(), "%": (a, b) => a() % b(),
  };

  function tokensOf(text) {
    const tokens = [];
    TOKEN.lastIndex = 0;
    while (text.slice(TOKEN.lastIndex).trim()) {
      const start = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (!found) throw new SyntaxError(`Cannot read "${text.slice(start).trim()}" in "${text}"`);
      const [, number, string, name, sign] = found;
      if (number) tokens.push({ kind: "constant", value: Number(number) });
      else if (string) tokens.push({ kind: "constant", value: string.slice(1, -1).replace(/\\(.)/g, (_, one) => ({ n: "\n", t: "\t" }[one] ?? one)) });
      else if (name) tokens.push({ kind: "name", value: name });
      else tokens.push({ kind: "sign", value: sign });
    }
    return tokens;
  }

  // The window and the documents lead to everything.
  function harmless(value) {
    const isObject = value !== null && (typeof value === "object" || typeof value === "function");
    if (isObject && (value === globalThis || value.window === value || value.nodeType === Node.DOCUMENT_NODE)) {
      throw new TypeError("window refused");
    }
    return value;
  }

  function permitted(name) {
    if (REFUSED_NAMES.has(name)) throw new TypeError(`${name} refused`);
    return name;
  }

  // A piece of an expression is what gets its value from a scope; places can be assigned to, too.
  class Parser {
    constructor(text) {
      this.text = text;
      this.tokens = tokensOf(text);
      this.at = 0;
    }

    program() {
      const program = this.statements(() => this.at >= this.tokens.length);
      if (this.at < this.tokens.length) this.fail();
      return program;
    }

    statements(isEnd) {
      const parts = [];
      while (!isEnd()) {
        if (this.takes(";")) continue;
        const isBlock = this.isName("if");
        parts.push(isBlock ? this.condition() : this.expression());
        if (!isEnd() && !isBlock) this.expect(";");
      }
      return (scope) => parts.reduce((_, part) => part(scope), undefined);
    }

    block() {
      if (!this.takes("{")) return this.expression();
      const body = this.statements(() => this.is("}"));
      this.expect("}");
      return body;
    }

    condition() {
      this.at += 1;
      this.expect("(");
      const test = this.expression();
      this.expect(")");
      const yes = this.block();
      let no = () => undefined;
      if (this.isName("else")) {
        this.at += 1;
        no = this.isName("if") ? this.condition() : this.block();
      }
      return (scope) => (test(scope) ? yes(scope) : no(scope));
    }

    expression() {
      const names = this.parameters();
      if (names) {
        const body = this.is("{") ? this.block() : this.expression();
        return (scope) => (...values) => body(Alpine.mergeProxies([Object.fromEntries(names.map((name, index) => [name, values[index]])), scope]));
      }
      const left = this.choice();
      const operator = ["=", "+=", "-="].find((one) => this.is(one));
      if (!operator) return left;
      if (!left.assign) this.fail();
      this.at += 1;
      const right = this.expression();
      return (scope) => left.assign(scope, { "=": () => right(scope), "+=": () => left(scope) + right(scope), "-=": () => left(scope) - right(scope) }[operator]());
    }

    // The names before "=>", or undefined when no function begins here.
    parameters() {
      const [first, second] = [this.tokens[this.at], this.tokens[this.at + 1]];
      if (first?.kind === "name" && second?.kind === "sign" && second.value === "=>") {
        this.at += 2;
        return [permitted(first.value)];
      }
      const end = this.tokens.findIndex((token, index) => index > this.at && token.kind === "sign" && token.value === ")");
      const arrow = this.tokens[end + 1];
      if (!this.is("(") || end < 0 || arrow?.kind !== "sign" || arrow.value !== "=>") return undefined;
      const inside = this.tokens.slice(this.at + 1, end).filter((token) => token.kind !== "sign");
      this.at = end + 2;
      return inside.map((token) => permitted(token.value));
    }

    choice() {
      const test = this.operation(0);
      if (!this.takes("?")) return test;
      const yes = this.expression();
      this.expect(":");
      const no = this.expression();
      return (scope) => (test(scope) ? yes(scope) : no(scope));
    }

    operation(level) {
      if (level === LEVELS.length) return this.unary();
      let left = this.operation(level + 1);
      for (;;) {
        const operator = LEVELS[level].find((one) => this.is(one));
        if (!operator) return left;
        this.at += 1;
        const [first, second] = [left, this.operation(level + 1)];
        left = (scope) => OPERATIONS[operator](() => first(scope), () => second(scope));
      }
    }

    unary() {
      if (this.takes("!")) {
        const value = this.unary();
        return (scope) => !value(scope);
      }
      if (this.takes("-")) {
        const value = this.unary();
        return (scope) => -value(scope);
      }
      const place = this.postfix();
      const step = this.takes("++") ? 1 : this.takes("--") ? -1 : 0;
      if (!step) return place;
      if (!place.assign) this.fail();
      return (scope) => {
        const before = place(scope);
        place.assign(scope, before + step);
        return before;
      };
    }

    postfix() {
      let value = this.primary();
      for (;;) {
        if (this.takes(".")) value = this.member(value, this.constant(this.name()));
        else if (this.takes("[")) {
          const key = this.expression();
          this.expect("]");
          value = this.member(value, key);
        } else if (this.takes("(")) value = this.call(value, this.list(")"));
        else return value;
      }
    }

    constant(value) {
      return () => value;
    }

    member(owner, key) {
      const keyOf = (scope) => permitted(String(key(scope)));
      const get = (scope) => {
        const found = harmless(harmless(owner(scope))[keyOf(scope)]);
        if (typeof found === "function") throw new TypeError("method refused");
        return found;
      };
      get.assign = (scope, value) => {
        const [target, name] = [harmless(owner(scope)), keyOf(scope)];
        if (target instanceof Node && !ASSIGNABLE_MEMBERS.has(name)) throw new TypeError(`${name} refused`);
        target[name] = value;
        return value;
      };
      get.invoke = (scope, values) => {
        const [target, name] = [harmless(owner(scope)), keyOf(scope)];
        if (!METHODS.has(name)) throw new TypeError(`${name}() refused`);
        return harmless(target[name](...values));
      };
      return get;
    }

    call(place, parts) {
      if (!place.invoke) this.fail();
      return (scope) => place.invoke(scope, parts.map((part) => part(scope)));
    }

    list(end) {
      const parts = [];
      while (!this.takes(end)) {
        parts.push(this.expression());
        if (!this.is(end)) this.expect(",");
      }
      return parts;
    }

    primary() {
      const token = this.tokens[this.at];
      if (!token) this.fail();
      this.at += 1;
      if (token.kind === "constant") return () => token.value;
      if (token.kind === "name") return CONSTANTS.has(token.value) ? () => CONSTANTS.get(token.value) : this.variable(permitted(token.value));
      if (token.value === "(") {
        const inside = this.expression();
        this.expect(")");
        return inside;
      }
      if (token.value === "[") {
        const parts = this.list("]");
        return (scope) => parts.map((part) => part(scope));
      }
      if (token.value === "{") return this.object();
      this.at -= 1;
      return this.fail();
    }

    variable(name) {
      const get = (scope) => {
        if (name in scope) return harmless(scope[name]);
        if (Object.hasOwn(GLOBALS, name)) return GLOBALS[name];
        throw new ReferenceError(`${name} unknown`);
      };
      get.assign = (scope, value) => {
        scope[name] = value; // a new name becomes data of the outermost element
        return value;
      };
      get.invoke = (scope, values) => {
        const found = name in scope ? scope[name] : FUNCTIONS.has(name) ? globalThis[name] : undefined;
        if (typeof found !== "function") throw new ReferenceError(`${name}() unknown`);
        return harmless(found.apply(scope, values));
      };
      return get;
    }

    object() {
      const entries = [];
      while (!this.takes("}")) {
        const token = this.tokens[this.at];
        const key = permitted(String(token?.kind === "constant" ? token.value : this.name(false)));
        this.at += 1;
        this.expect(":");
        entries.push([key, this.expression()]);
        if (!this.is("}")) this.expect(",");
      }
      return (scope) => Object.fromEntries(entries.map(([key, value]) => [key, value(scope)]));
    }

    name(isTaken = true) {
      const token = this.tokens[this.at];
      if (token?.kind !== "name") this.fail();
      if (isTaken) this.at += 1;
      return token.value;
    }

    is(sign) {
      const token = this.tokens[this.at];
      return token?.kind === "sign" && token.value === sign;
    }

    isName(name) {
      const token = this.tokens[this.at];
      return token?.kind === "name" && token.value === name;
    }

    takes(sign) {
      const isHere = this.is(sign);
      if (isHere) this.at += 1;
      return isHere;
    }

    expect(sign) {
      if (!this.takes(sign)) this.fail();
    }

    fail() {
      throw new SyntaxError(`Cannot read "${this.text}" at token ${this.at + 1}`);
    }
  }

  const programs = new Map();

  function programOf(text) {
    if (!programs.has(text)) programs.set(text, new Parser(text).program());
    return programs.get(text);
  }

  // Alpine writes a text of styles into the attribute, which the policy forbids; the object it sets one by one.
  function styles(element, expression, value) {
    if (typeof value !== "string" || element.getAttribute("x-bind:style") !== expression) return value;
    return Object.fromEntries(value.split(";").filter((one) => one.includes(":")).map((one) => one.split(/:(.*)/s).slice(0, 2).map((part) => part.trim())));
  }

  function evaluate(element, expression, receiver, { scope = {}, params = [] } = {}) {
    try {
      const data = Alpine.mergeProxies([scope, ...Alpine.closestDataStack(element)]);
      const value = typeof expression === "function" ? expression.apply(data, params) : programOf(expression)(data);
      receiver(styles(element, expression, typeof value === "function" ? value.apply(data, params) : value));
    } catch (error) {
      setTimeout(() => { throw error; }); // the others go on; the console names the expression
    }
  }

  document.addEventListener("alpine:init", () => {
    Alpine.setEvaluator((element, expression) => (receiver = () => {}, extras) => evaluate(element, expression, receiver, extras));
  });

  // htmx would add a style element, and could evaluate texts.
  if (globalThis.htmx) Object.assign(htmx.config, { includeIndicatorStyles: false, allowEval: false, allowScriptTags: false });
})();
