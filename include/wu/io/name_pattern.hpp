// Regular expressions out of a file, as far as configurations of adapters use them to name modules. All ways through a pattern
// are followed at once, so that matching takes at most (letters of the name) x (letters of the pattern) steps, whatever they
// are. Files may hold one pattern for each of thousands of modules, so what is just a name is compared as one.
//     literals   .   \. and other escaped punctuation   \d   [a-z_] [^0-9]   ( | ) (?: | )   * + ?   ^   $
#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/io/printable.hpp"

namespace wu::io {

/// A pattern for names of modules. Names are matched byte by byte.
class NamePattern {
 public:
  /// The longest pattern that is taken.
  static constexpr std::size_t most_letters = 1000;

  /// Throws FileError for a pattern that is too long, not well-formed, or uses what is not listed above. `where` begins the
  /// sentence.
  explicit NamePattern(std::string_view pattern, const std::string& where = "") : text_(pattern), where_(where) {
    if (text_.size() > most_letters)
      refuse(message("a pattern of at most ", most_letters, " letters, found one of ", text_.size()));
    const Fragment all = alternatives(0);
    if (at_ < text_.size()) refuse("no ')' without its '('");
    start_ = all.begin;
    accept_ = all.end;
    if (plain_) states_.clear();
  }

  /// Whether it matches all of the name.
  bool matches(std::string_view name) const { return plain_ ? name == letters_ : run(name, false); }
  /// Whether it matches all of the name or all that follows one of its points: ^(.*\.)?(pattern)$
  bool matches_end(std::string_view name) const {
    if (!plain_) return run(name, true);
    if (!name.ends_with(letters_)) return false;
    return name.size() == letters_.size() || (!anchored_ && name[name.size() - letters_.size() - 1] == '.');
  }
  /// As it was written.
  const std::string& text() const { return text_; }

 private:
  using Letters = std::bitset<256>;
  /// Either consumes one of `letters` and goes to `to`, or goes on to `empty` without a letter, if `assertion` holds.
  struct State {
    std::vector<std::size_t> empty;
    Letters letters;
    std::size_t to = 0;
    char assertion = '\0';
  };
  struct Fragment {
    std::size_t begin, end;
  };

  [[noreturn]] void refuse(std::string_view expected) const {
    throw FileError(message(where_, "pattern ", printable(text_), ": expected ", expected, ", at letter ", at_));
  }

  std::size_t add() {
    states_.emplace_back();
    return states_.size() - 1;
  }
  void link(std::size_t from, std::size_t to) { states_[from].empty.push_back(to); }
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) {
    const bool found = next_is(c);
    if (found) ++at_;
    return found;
  }

  /// Takes a letter that means something.
  bool take_special() {
    plain_ = false;
    ++at_;
    return true;
  }

  Fragment alternatives(int depth) {
    if (depth > 20) refuse("at most 20 groups within one another, found more");
    const Fragment any{add(), add()};
    do {
      const Fragment one = sequence(depth);
      link(any.begin, one.begin);
      link(one.end, any.end);
    } while (next_is('|') && take_special());
    return any;
  }

  Fragment sequence(int depth) {
    Fragment all{add(), 0};
    all.end = all.begin;
    while (at_ < text_.size() && !next_is('|') && !next_is(')')) {
      const Fragment next = repeated(atom(depth));
      link(all.end, next.begin);
      all.end = next.end;
    }
    return all;
  }

  Fragment repeated(Fragment one) {
    const char how = at_ < text_.size() ? text_[at_] : '\0';
    if (how == '{') refuse("no count in braces");
    if (how != '*' && how != '+' && how != '?') return one;
    take_special();
    if (next_is('*') || next_is('+') || next_is('?') || next_is('{')) refuse("one of * + ? only, not two");
    const Fragment all{add(), add()};
    link(all.begin, one.begin);
    link(one.end, all.end);
    if (how != '+') link(all.begin, all.end);
    if (how != '?') link(one.end, one.begin);
    return all;
  }

  Fragment atom(int depth) {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) refuse("printable ASCII letters");
    if (c == '*' || c == '+' || c == '?' || c == '{' || c == '}' || c == ']')
      refuse("something that can be repeated before it");
    if (c == '^' && at_ == 0) anchored_ = true;
    else if (std::string_view("(^$[.").find(c) != std::string_view::npos) plain_ = false;
    else if (c != '\\') letters_ += c;
    ++at_;
    switch (c) {
      case '(': {
        if (next_is('?') && text_.substr(at_, 2) != "?:") refuse("groups without '?', or with \"?:\"");
        if (take('?')) take(':');
        const Fragment group = alternatives(depth + 1);
        if (!take(')')) refuse("a ')' for every '('");
        return group;
      }
      case '^':
      case '$': {
        const Fragment place{add(), add()};
        states_[place.begin].assertion = c;
        link(place.begin, place.end);
        return place;
      }
      case '[': return one_of(letters_in_brackets());
      case '.': return one_of(Letters().set().reset('\n'));
      case '\\': return one_of(escaped());
      default: return one_of(Letters().set(static_cast<unsigned char>(c)));
    }
  }

  Fragment one_of(const Letters& letters) {
    const Fragment letter{add(), add()};
    states_[letter.begin].letters = letters;
    states_[letter.begin].to = letter.end;
    return letter;
  }

  static Letters range(char from, char to) {
    Letters letters;
    for (int c = static_cast<unsigned char>(from); c <= static_cast<unsigned char>(to); ++c)
      letters.set(static_cast<std::size_t>(c));
    return letters;
  }

  /// What stands after a backslash.
  Letters escaped() {
    if (at_ == text_.size()) refuse("a letter after a backslash");
    const char c = text_[at_];
    if (c == 'd') return take_special(), range('0', '9');
    const bool punctuation = c > 0x20 && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (!punctuation) refuse("\\d or a punctuation mark after a backslash");
    letters_ += c;
    return ++at_, range(c, c);
  }

  Letters letters_in_brackets() {
    Letters letters;
    const bool others = take('^');
    for (bool first = true; first || !next_is(']'); first = false) {
      if (at_ == text_.size()) refuse("a ']' for every '['");
      const char c = text_[at_];
      if (c == '[' || (first && c == ']') || static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F)
        refuse("plain letters between brackets, others after a backslash");
      ++at_;
      if (c == '\\') {
        letters |= escaped();
        continue;
      }
      const bool ranged = at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']';
      const char last = ranged ? text_[at_ + 1] : c;
      if (last < c || last == '\\' || last == '[') refuse("a range of letters in ascending order");
      at_ += ranged ? 2 : 0;
      letters |= range(c, last);
    }
    ++at_;
    return others ? ~letters : letters;
  }

  bool run(std::string_view name, bool after_points) const {
    std::vector<std::size_t> now, next;
    std::vector<bool> in_now(states_.size()), in_next(states_.size());
    const auto enter = [&](std::vector<std::size_t>& list, std::vector<bool>& in, std::size_t state, std::size_t at) {
      std::size_t done = list.size();
      const auto put = [&](std::size_t s) {
        if (in[s]) return;
        in[s] = true;
        list.push_back(s);
      };
      put(state);
      for (; done < list.size(); ++done) {
        const State& s = states_[list[done]];
        if ((s.assertion == '^' && at != 0) || (s.assertion == '$' && at != name.size())) continue;
        for (const std::size_t to : s.empty) put(to);
      }
    };
    for (std::size_t at = 0;; ++at) {
      if (at == 0 || (after_points && name[at - 1] == '.')) enter(now, in_now, start_, at);
      if (at == name.size()) return in_now[accept_];
      for (const std::size_t s : now)
        if (states_[s].letters[static_cast<unsigned char>(name[at])]) enter(next, in_next, states_[s].to, at + 1);
      now.swap(next);
      in_now.swap(in_next);
      next.clear();
      in_next.assign(states_.size(), false);
    }
  }

  std::string text_, where_;
  std::size_t at_ = 0;
  bool plain_ = true, anchored_ = false;  ///< no letter of the pattern means something, but perhaps a '^' in front
  std::string letters_;                   ///< if it is plain, the name that it matches
  std::vector<State> states_;
  std::size_t start_ = 0, accept_ = 0;
};

}  // namespace wu::io
