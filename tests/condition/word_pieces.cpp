// condition/word_pieces.hpp: what is UTF-8, and which pieces a text is cut into.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "wu/condition/word_pieces.hpp"

namespace {

using wu::Index;
using Pieces = std::vector<std::int32_t>;
constexpr Index vocabulary = 2048;

Pieces pieces_of(std::string_view text, std::size_t most = 12, Index rows = vocabulary) {
  Pieces pieces(most, -1);
  wu::condition::word_pieces(pieces, text, rows);
  return pieces;
}

/// The row of one piece, by the formula in words: FNV-1a over code points, folded once, rows 1 .. rows - 1.
std::int32_t row_of(std::u32string_view piece, Index rows = vocabulary) {
  std::uint64_t h = 14695981039346656037u;
  for (const char32_t c : piece) h = (h ^ c) * 1099511628211u;
  return static_cast<std::int32_t>(1 + (h ^ (h >> 29)) % static_cast<std::uint64_t>(rows - 1));
}

void check_pieces(std::string_view text, const std::vector<std::u32string_view>& expected) {
  BOOST_TEST_CONTEXT("text: " << text) {
    Pieces rows;
    for (const auto piece : expected) rows.push_back(row_of(piece));
    rows.push_back(0);
    const Pieces found = pieces_of(text, rows.size());
    BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), rows.begin(), rows.end());
  }
}

/// The whole sentence.
auto says(std::string sentence) {
  return [sentence = std::move(sentence)](const wu::Error& e) {
    if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
    return sentence == e.what();
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(utf8_is_decoded_to_its_last_and_first_code_points) {
  using namespace std::string_view_literals;
  const auto decode = [](std::string_view text) { return wu::condition::decode_utf8(text); };
  BOOST_CHECK((decode("\0A\x7F"sv) == std::vector<char32_t>{0, 'A', 0x7F}));
  BOOST_CHECK((decode("\xC2\x80\xDF\xBF") == std::vector<char32_t>{0x80, 0x7FF}));
  BOOST_CHECK(
      (decode("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF") == std::vector<char32_t>{0x800, 0xD7FF, 0xE000, 0xFFFF}));
  BOOST_CHECK((decode("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF") == std::vector<char32_t>{0x10000, 0x10FFFF}));
  BOOST_CHECK(decode("").empty());
}

BOOST_AUTO_TEST_CASE(ill_formed_utf8_is_refused_where_it_begins) {
  struct Case {
    std::string text;
    int byte;
  };
  const Case cases[] = {
      {"\x80", 1},                  // a continuation byte without a lead
      {"blur\xBF", 5},              //
      {"blur \xE6\xA8", 6},         // the end of the text within a character
      {"\xC3", 1},                  //
      {"\xF0\x9F\x98", 1},          //
      {"\xC3 blur", 1},             // a lead byte without its continuation
      {"a\xE6 b", 2},               //
      {"\xE6\xA8 b", 1},            //
      {"\xF0\x9F\x98z", 1},         //
      {"\xE6\xE6\xA8\xA1", 1},      // a lead byte within a character
      {"\xC0\x80", 1},              // overlong: NUL in two bytes,
      {"\xC1\xBF", 1},              // DEL in two,
      {"\xE0\x80\xAF", 1},          // a slash in three,
      {"\xE0\x9F\xBF", 1},          // U+07FF in three,
      {"\xF0\x80\x80\xAF", 1},      // a slash in four,
      {"\xF0\x8F\xBF\xBF", 1},      // U+FFFF in four
      {"ok \xED\xA0\x80", 4},       // the first surrogate
      {"\xED\xBF\xBF", 1},          // and the last
      {"\xF4\x90\x80\x80", 1},      // beyond U+10FFFF
      {"\xF5\x80\x80\x80", 1},      //
      {"\xF8\x88\x80\x80\x80", 1},  // five bytes
      {"\xFE", 1},                  // bytes that UTF-8 does not have
      {"photo \xFF", 7},            //
  };
  for (const auto& [text, byte] : cases) {
    BOOST_TEST_CONTEXT("byte " << byte << " of " << text.size()) {
      const auto sentence =
          wu::message("the instruction is not UTF-8 text: byte ", byte, " of ", text.size(), " does not fit");
      BOOST_CHECK_EXCEPTION(wu::condition::decode_utf8(text), wu::Error, says(sentence));
      Pieces pieces(3, -1);
      BOOST_CHECK_EXCEPTION(wu::condition::word_pieces(pieces, text, vocabulary), wu::Error, says(sentence));
      BOOST_CHECK(pieces == Pieces(3, -1));
    }
  }
}

BOOST_AUTO_TEST_CASE(words_come_whole_and_with_their_first_four_letters) {
  check_pieces("blurry", {U"blurry", U"blur"});
  check_pieces("blur", {U"blur", U"blur"});
  check_pieces("make it 20 percent sharper", {U"make", U"make", U"it", U"20", U"percent", U"perc", U"sharper", U"shar"});
  check_pieces("  blur,the\tphoto\n--50%!", {U"blur", U"blur", U"the", U"photo", U"phot", U"50"});
}

BOOST_AUTO_TEST_CASE(forms_of_a_word_share_a_piece) {
  for (const auto* text : {"blur", "blurry", "blurred", "Blurring"}) {
    const auto pieces = pieces_of(text);
    BOOST_CHECK_MESSAGE(std::ranges::count(pieces, row_of(U"blur")) > 0, text);
  }
}

BOOST_AUTO_TEST_CASE(apostrophes_stay_within_a_word_and_quotation_marks_do_not) {
  check_pieces("don't", {U"don't", U"don'"});
  check_pieces("'red'", {U"red"});
  check_pieces("the 'old''' look", {U"the", U"old", U"look", U"look"});
}

BOOST_AUTO_TEST_CASE(han_characters_come_alone_and_with_their_neighbour) {
  check_pieces("模糊", {U"模", U"模糊", U"糊"});
  check_pieces("变清晰，去除", {U"变", U"变清", U"清", U"清晰", U"晰", U"去", U"去除", U"除"});
  check_pieces("㐀𠀀豈", {U"㐀", U"㐀𠀀", U"𠀀", U"𠀀豈", U"豈"});  // extensions A and B, a compatibility ideograph
}

BOOST_AUTO_TEST_CASE(scripts_may_be_mixed) {
  check_pieces("把photo变暗50%", {U"把", U"photo", U"phot", U"变", U"变暗", U"暗", U"50"});
  check_pieces("размытие фото", {U"размытие", U"разм", U"фото", U"фото"});
  check_pieces("θόλωσε", {U"θόλωσε", U"θόλω"});
  check_pieces("흐리게 해줘", {U"흐리게", U"해줘"});
  check_pieces("ぼかしてカメラ", {U"ぼかしてカメラ", U"ぼかして"});
  check_pieces("صورة قديمة", {U"صورة", U"صورة", U"قديمة", U"قديم"});
  check_pieces("धुंधला करो", {U"धुंधला", U"धुंध", U"करो"});
}

BOOST_AUTO_TEST_CASE(punctuation_of_other_scripts_does_not_stick_to_words) {
  check_pieces("قديمة، صورة؟", {U"قديمة", U"قديم", U"صورة", U"صورة"});
  check_pieces("करो।", {U"करो"});
  check_pieces("θόλωσε; φως·", {U"θόλωσε", U"θόλω", U"φωσ"});
  check_pieces("カメラ・ぼかし", {U"カメラ", U"ぼかし"});
}

BOOST_AUTO_TEST_CASE(case_does_not_matter) {
  const std::string_view pairs[][2] = {{"BLUR The Photo", "blur the photo"},
                                       {"ÉTÉ À ØRE", "été à øre"},
                                       {"ŁÓDŹ ČEŠTINA ŽLUTÝ Ÿ", "łódź čeština žlutý ÿ"},
                                       {"İSTANBUL", "istanbul"},
                                       {"ΑΘΗΝΑ ΦΩΣ", "αθηνα φως"},
                                       {"ΆΝΟΙΞΗ ΈΝΑ ΉΛΙΟΣ ΌΛΑ ΎΨΟΣ ΏΡΑ", "άνοιξη ένα ήλιος όλα ύψος ώρα"},
                                       {"РАЗМЫТИЕ", "размытие"},
                                       {"ЁЛКА ЇЖАК ЄВРО", "ёлка їжак євро"},
                                       {"ҚАЗАҚ ӘДЕМІ ҮЛКЕН", "қазақ әдемі үлкен"},
                                       {"ẢNH MỜ ĐƯỢC", "ảnh mờ được"}};
  for (const auto& [capital, small] : pairs)
    BOOST_CHECK_MESSAGE(pieces_of(capital) == pieces_of(small), capital << " and " << small);
  for (const auto* marks : {"é×à", "é÷à"})
    BOOST_CHECK_EQUAL(std::ranges::count(pieces_of(marks), 0), 10);  // two words of one letter
}

BOOST_AUTO_TEST_CASE(rows_never_change) {
  // A trained table holds these rows: another hash would make it worthless.
  const Pieces expected{536, 536, 1231, 348, 1748, 1421, 190, 1563, 0, 0, 0, 0};
  const auto found = pieces_of("Make it blurry: 模糊");
  BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
  BOOST_CHECK(found == pieces_of("Make it blurry: 模糊"));
}

BOOST_AUTO_TEST_CASE(a_long_text_is_cut_and_a_short_one_filled_up) {
  const auto whole = pieces_of("make it blurry", 5);
  BOOST_CHECK(whole == (Pieces{536, 536, 1231, 348, 1748}));
  for (const std::size_t most : {0u, 1u, 4u}) {
    const auto cut = pieces_of("make it blurry", most);
    BOOST_CHECK_EQUAL_COLLECTIONS(cut.begin(), cut.end(), whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(most));
  }
  BOOST_CHECK(pieces_of("it", 3) == (Pieces{1231, 0, 0}));
}

BOOST_AUTO_TEST_CASE(rows_stay_within_the_table_and_row_0_means_nothing) {
  for (const Index rows : {Index{2}, Index{3}, Index{7}}) {
    std::vector<int> seen(static_cast<std::size_t>(rows));
    for (const std::int32_t row : pieces_of("one two three four five six seven eight nine ten eleven twelve", 18, rows)) {
      BOOST_REQUIRE(row >= 1 && row < rows);
      ++seen[static_cast<std::size_t>(row)];
    }
    BOOST_CHECK_EQUAL(std::count(seen.begin() + 1, seen.end(), 0), 0);
  }
}

BOOST_AUTO_TEST_CASE(a_text_without_a_word_is_refused) {
  Pieces pieces(3, -1);
  BOOST_CHECK_EXCEPTION(wu::condition::word_pieces(pieces, "", vocabulary), wu::Error, says("the instruction is empty"));
  for (const auto* text :
       {" ", "\t\n", "?!...", "'", "''", "。！？，、", "“”—…", "،؟۔", "।॥", "×÷", "😀", "\xC2\xA0\xE3\x80\x80", "䷀"})
    BOOST_CHECK_EXCEPTION(wu::condition::word_pieces(pieces, text, vocabulary), wu::Error,
                          says("the instruction holds no word"));
  BOOST_CHECK_EXCEPTION(wu::condition::word_pieces(pieces, "blur", 1), wu::Error,
                        says("word pieces: expected a vocabulary of at least 2 rows, found 1"));
  BOOST_CHECK(pieces == Pieces(3, -1));
}
