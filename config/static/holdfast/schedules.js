/* Small comforts of the schedule editor. Everything works without them. */
(function () {
    "use strict";

    // "More hours" without going to the server.
    function rows(form) {
        const template = form.querySelector("[data-hf-template]");
        const list = form.querySelector("[data-hf-list]");
        const total = form.querySelector("[name$='-TOTAL_FORMS']");
        const most = form.querySelector("[name$='-MAX_NUM_FORMS']");
        const more = form.querySelector("[data-hf-more]");
        if (!template || !more) return;
        more.addEventListener("click", function (event) {
            const number = Number(total.value);
            if (number >= Number(most.value)) return; // the server says how many there may be
            event.preventDefault();
            const added = document.createElement("div");
            added.innerHTML = template.innerHTML.replaceAll("__prefix__", String(number));
            const row = added.querySelector("[data-hf-row]");
            list.append(row);
            total.value = String(number + 1);
            row.querySelector("input").focus();
        });
    }

    // "until the next day" as soon as the end is not after the start.
    function nextDay(form) {
        form.addEventListener("input", function (event) {
            const row = event.target.closest("[data-hf-row]");
            if (!row) return;
            const from = row.querySelector("[name$='from_time']").value;
            const until = row.querySelector("[name$='until_time']").value;
            row.querySelector("[data-hf-next-day]").hidden = !(from && until && until <= from);
        });
    }

    document.addEventListener("DOMContentLoaded", function () {
        document.querySelectorAll("form[data-hf-rows]").forEach(function (form) {
            rows(form);
            nextDay(form);
        });
    });
})();
