// A button that copies beside each field that is there to be copied. Without it the field is selected by hand.
for (const field of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  const words = field.dataset.copy.split("|");
  button.type = "button";
  button.textContent = words[0];
  button.setAttribute("aria-describedby", field.id);
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy");
    }
    button.textContent = words[1];
    setTimeout(() => (button.textContent = words[0]), 2000);
  });
  field.after(button);
}
