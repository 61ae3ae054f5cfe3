"""REST for agents and programs: parse, call an action, render. No rule of the product lives here."""
