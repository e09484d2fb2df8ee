// The demonstration's tasks, phrases and neutral edits.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include "edit/metrics.hpp"
#include "edit/neutral.hpp"
#include "edit/synthetic.hpp"
#include "edit/tasks.hpp"

namespace {

edit::Image photograph() { return edit::draw_dead_leaves(7, 3, 96); }

}  // namespace

BOOST_AUTO_TEST_CASE(every_task_has_its_phrases_and_keeps_some_from_training) {
  for (const edit::Task task : edit::tasks) {
    const auto& all = edit::phrasings(task);
    BOOST_TEST_CONTEXT(edit::name(task)) {
      BOOST_CHECK_GE(all.english.size(), 8u + edit::held_out_phrasings);
      BOOST_CHECK_GE(all.chinese.size(), 4u + edit::held_out_phrasings);
      std::set<std::string_view> different(all.english.begin(), all.english.end());
      different.insert(all.chinese.begin(), all.chinese.end());
      BOOST_CHECK_EQUAL(different.size(), all.english.size() + all.chinese.size());
      const auto held_out = edit::held_out_phrases(task);
      BOOST_CHECK_EQUAL(held_out.size(), 2 * edit::held_out_phrasings);
      for (std::uint64_t k = 0; k < 3000; ++k) {
        wu::Random random(1, "phrases", k);
        const std::string phrase = edit::training_phrase(task, random);
        BOOST_REQUIRE_MESSAGE(std::ranges::find(held_out, phrase) == held_out.end(),
                              "training drew the held-out phrase " << phrase);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(no_phrase_of_a_task_is_taught_in_pre_training) {
  std::set<std::string_view> neutral;
  for (const auto& edit : edit::neutral_edits()) neutral.insert(edit.phrases.begin(), edit.phrases.end());
  for (const edit::Task task : edit::tasks)
    for (const auto* language : {&edit::phrasings(task).english, &edit::phrasings(task).chinese})
      for (const std::string_view phrase : *language) BOOST_CHECK_MESSAGE(!neutral.contains(phrase), phrase);
}

BOOST_AUTO_TEST_CASE(opposing_tasks_exchange_source_and_target) {
  wu::Random random(1, "pairs");
  const edit::Image image = photograph();
  using edit::Task;
  for (const auto& [forth, back] : {std::pair{Task::blur, Task::deblur}, std::pair{Task::darken, Task::brighten}}) {
    const auto a = edit::make_pair(forth, image, random), b = edit::make_pair(back, image, random);
    BOOST_CHECK(a.source == b.target);
    BOOST_CHECK(a.target == b.source);
    BOOST_CHECK_LT(edit::psnr(a.source, a.target), 40);
  }
}

BOOST_AUTO_TEST_CASE(damage_differs_from_picture_to_picture_and_repeats_with_its_seed) {
  const edit::Image image = photograph();
  wu::Random a(1, "damage", 0), again(1, "damage", 0), b(1, "damage", 1);
  const auto first = edit::make_pair(edit::Task::restore, image, a),
             same = edit::make_pair(edit::Task::restore, image, again);
  const auto other = edit::make_pair(edit::Task::restore, image, b);
  BOOST_CHECK(first.source == same.source);
  BOOST_CHECK(!(first.source == other.source));
  BOOST_CHECK_LT(edit::psnr(first.source, other.source), 30);
  const auto age = edit::make_pair(edit::Task::age, image, a);
  BOOST_CHECK(age.target == edit::make_pair(edit::Task::age, image, b).target);
}

BOOST_AUTO_TEST_CASE(neutral_edits_change_the_picture_and_none_is_a_task) {
  const edit::Image image = photograph();
  wu::Random random(1, "neutral");
  for (const auto& neutral : edit::neutral_edits()) {
    const edit::Image result = neutral.apply(image);
    BOOST_CHECK_EQUAL(result.rgb.size(), image.rgb.size());
    BOOST_CHECK_EQUAL(result == image, neutral.name == "keep");
    for (const edit::Task task : {edit::Task::blur, edit::Task::age, edit::Task::darken})
      BOOST_CHECK_MESSAGE(edit::psnr(result, edit::make_pair(task, image, random).target) < 32,
                          neutral.name << " is close to " << edit::name(task));
  }
}
