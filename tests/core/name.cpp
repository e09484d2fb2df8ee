// core/name.hpp.
#include <boost/test/unit_test.hpp>

#include <string>
#include <type_traits>

#include "wu/core/name.hpp"

namespace {

using wu::Name;

template <Name N>
struct Named {
  static std::string text() { return N.c_str(); }
};

// Names compare by their text, whatever their length; types that carry them differ where the text does.
static_assert(Name("layer") == Name("layer"));
static_assert(Name("layer") != Name("rank"));
static_assert(Name("layer") != Name("layers") && Name("layers") != Name("layer"));
static_assert(Name("") == Name("") && Name("") != Name("a"));
static_assert(std::is_same_v<Named<"attn.qkv">, Named<"attn.qkv">>);
static_assert(!std::is_same_v<Named<"attn.qkv">, Named<"attn.out">>);
static_assert(Name("mlp").view() == "mlp" && Name("mlp").view().size() == 3);

}  // namespace

BOOST_AUTO_TEST_CASE(name_keeps_its_text_in_a_type) {
  BOOST_CHECK_EQUAL(Named<"attn.qkv">::text(), "attn.qkv");
  BOOST_CHECK_EQUAL(Named<"">::text(), "");
}
